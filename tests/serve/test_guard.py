"""Who may ask: host, origin, token; and the headers that every answer has."""

from __future__ import annotations

import pytest
from speaking import TOKEN, Served, running, wav

from featkit.serve import ServeError
from featkit.serve.guard import check_token


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "192.168.0.9"]
)
def test_a_wrong_host_is_refused_everywhere(served: Served, host: str) -> None:
    for path in ("/", "/health", "/model", "/static/app.js"):
        served.ask(path, headers={"host": host}).refused(400, "wrong_host")
    served.ask("/predict", wav(), headers={"host": host}).refused(400, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_the_names_of_this_computer_are_known(served: Served, host: str) -> None:
    assert served.ask("/health", headers={"host": host}).status == 200


def test_a_further_name_and_any_address_may_be_allowed() -> None:
    with running(hosts=("emotions.example",), addresses=True) as served:
        for host in ("emotions.example", "192.168.0.9:8000", "[fe80::1]:80"):
            assert served.ask("/health", headers={"host": host}).status == 200
        served.ask("/health", headers={"host": "other.example"}).refused(400, "wrong_host")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "http://127.0.0.1:1", "http://localhost"]
)
def test_pages_of_other_origins_may_not_send(served: Served, origin: str) -> None:
    for path in ("/predict", "/batch"):
        served.ask(path, wav(), headers={"origin": origin}).refused(403, "wrong_origin")


def test_the_own_page_may_send(served: Served) -> None:
    assert served.ask("/predict", wav(), headers={"origin": served.url}).status == 200


def test_with_a_token_only_the_page_and_health_are_open() -> None:
    with running(token=TOKEN) as served:
        for path in ("/", "/health", "/openapi.json", "/static/app.js"):
            assert served.ask(path).status == 200
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": "Bearer é"},
        ):
            for path, body in (("/model", None), ("/predict", wav()), ("/batch", wav()), ("/nothing", None)):
                answer = served.ask(path, body, headers=headers)
                assert "Authorization: Bearer TOKEN" in answer.refused(401, "wrong_token")
                assert answer.headers["www-authenticate"] == "Bearer"
        right = {"authorization": f"Bearer {TOKEN}"}
        assert served.ask("/model", headers=right).status == 200
        assert served.ask("/predict", wav(), headers=right).status == 200


@pytest.mark.parametrize("token", ["short", "", "with spaces in it and long", "ümlauts-and-more-letters", "x" * 201])
def test_a_weak_token_is_refused(token: str) -> None:
    with pytest.raises(ServeError, match="A token has 16 to 200 letters"):
        check_token(token)


def test_every_answer_has_the_headers_that_protect_the_page(served: Served) -> None:
    answers = [
        served.ask("/"), served.ask("/static/app.js"), served.ask("/health"), served.ask("/nothing"),
        served.ask("/predict", b""), served.ask("/", headers={"host": "evil.example"}),
    ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
