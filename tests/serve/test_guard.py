"""Who may ask: host, origin, token; and the headers that every answer has."""

from __future__ import annotations

import pytest
from speaking import TOKEN, Served, running, wav

from featkit.serve import ServeError
from featkit.serve.guard import as_origin, check_host, check_token

PAGE = "http://localhost:3000"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
}


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


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost", "https://localhost", 200),
        ("localhost:443", "https://localhost", 200),
        ("localhost", "https://localhost:443", 200),
        ("localhost:80", "http://localhost", 200),
        ("LOCALHOST", "http://localhost", 200),
        ("[::1]:443", "https://[::1]", 200),
        ("localhost:443", "http://localhost", 403),
        ("localhost:80", "https://localhost", 403),
        ("localhost", "https://localhost:8443", 403),
        ("localhost", "app://localhost", 403),
    ],
)
def test_the_port_that_browsers_leave_out_may_be_there_or_not(
    served: Served, host: str, origin: str, status: int
) -> None:
    assert served.ask("/predict", wav(), headers={"host": host, "origin": origin}).status == status


def test_a_page_elsewhere_may_ask_where_its_origin_is_allowed() -> None:
    with running(token=TOKEN, origins=(PAGE, "https://app.example")) as served:
        asked = served.ask("/predict", method="OPTIONS", headers=PREFLIGHT)  # browsers show no token here
        assert asked.status == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
        private = PREFLIGHT | {"access-control-request-private-network": "true"}
        assert served.ask("/predict", method="OPTIONS", headers=private).status == 200
        answer = served.ask("/predict", wav(), headers={"origin": PAGE, "authorization": f"Bearer {TOKEN}"})
        assert answer.json["label"]
        refusal = served.ask("/predict", wav(), headers={"origin": PAGE})
        assert "Bearer TOKEN" in refusal.refused(401, "wrong_token")
        for told in (asked, answer, refusal):  # the page may read why it was refused, too
            assert told.headers["access-control-allow-origin"] == PAGE
            assert "Origin" in told.headers["vary"]
            assert "access-control-allow-credentials" not in told.headers
        assert answer.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize(
    "origin", ["http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example", "null"]
)
def test_an_origin_is_allowed_to_the_letter(origin: str) -> None:
    with running(origins=(PAGE,)) as served:
        served.ask("/predict", method="OPTIONS", headers=PREFLIGHT | {"origin": origin}).refused(403, "wrong_origin")
        served.ask("/predict", wav(), headers={"origin": origin}).refused(403, "wrong_origin")
        assert "access-control-allow-origin" not in served.ask("/model", headers={"origin": origin}).headers


def test_an_allowed_origin_does_not_open_another_host() -> None:
    with running(origins=(PAGE,)) as served:
        told = served.ask("/predict", method="OPTIONS", headers=PREFLIGHT | {"host": "evil.example"})
        told.refused(400, "wrong_host")


def test_no_origin_is_allowed_by_itself(served: Served) -> None:
    served.ask("/predict", method="OPTIONS", headers=PREFLIGHT).refused(403, "wrong_origin")
    assert "access-control-allow-origin" not in served.ask("/model", headers={"origin": PAGE}).headers


def test_origins_are_kept_as_browsers_send_them() -> None:
    assert as_origin("http://localhost:80") == "http://localhost"
    assert as_origin("https://app.example:443") == "https://app.example"
    assert as_origin("https://[::1]:80") == "https://[::1]:80"
    assert as_origin("capacitor://localhost") == "capacitor://localhost"


@pytest.mark.parametrize(
    "text",
    ["*", "null", "localhost:3000", "http://*.example", "http://a.example/", "http://a.example/x", "HTTP://a.example",
     "http://bücher.example", "http://a b", "", "file://", "http://u@a.example"],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused(text: str) -> None:
    with pytest.raises(ServeError, match="is no origin: give scheme, host and port in small letters"):
        as_origin(text)


@pytest.mark.parametrize("name", ["https://emo.example", "emo.example:443", "emo.example/x", "", "*", "a b"])
def test_what_no_host_header_names_is_refused(name: str) -> None:
    with pytest.raises(ServeError, match="is no name of a host: give it alone, as in"):
        check_host(name)


def test_names_and_addresses_are_names_of_hosts() -> None:
    for name in ("emo.example", "my_pc", "10.0.0.1", "fe80::1", "::1"):
        check_host(name)


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
