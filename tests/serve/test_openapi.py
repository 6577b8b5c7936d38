"""The OpenAPI document describes what the server does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

from speaking import Served, wav
from speech import speech

from featkit.quality import FLAGS


def check(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """As much of JSON Schema as the document uses."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "null": type(None), "boolean": bool}
    named = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    assert any(isinstance(value, kinds[kind]) for kind in named)
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value)
        properties = schema.get("properties", {})
        for key, inner in value.items():
            check(inner, properties.get(key) or schema.get("additionalProperties") or {"type": list(kinds)}, document)
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        for inner in value:
            check(inner, schema["items"], document)


def schema_of(document: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    schema = document["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    assert isinstance(schema, dict)
    return schema


def test_answers_and_refusals_are_as_described(served: Served) -> None:
    document = served.ask("/openapi.json").json
    asked = [
        ("/health", "get", served.ask("/health")),
        ("/model", "get", served.ask("/model")),
        ("/predict", "post", served.ask("/predict?hop=0.5&window=0.5&peaks=9", wav(speech().waves[1]))),
        ("/predict", "post", served.ask("/predict", b"")),
        ("/predict", "post", served.ask("/predict", b"text")),
        ("/batch", "post", served.form("/batch", [("a", wav()), ("b", b"")])),
    ]
    for path, method, answer in asked:
        check(answer.json, schema_of(document, path, method, answer.status), document)


def test_both_uploads_are_described_as_a_form_and_as_a_raw_body(served: Served) -> None:
    paths = served.ask("/openapi.json").json["paths"]
    for path in ("/predict", "/batch"):
        content = paths[path]["post"]["requestBody"]["content"]
        assert list(content) == ["multipart/form-data", "application/octet-stream", "audio/*"]
    assert "A raw body is one clip without a name." in paths["/batch"]["post"]["summary"]


def test_the_api_is_beside_its_document_whatever_path_a_proxy_has_put_before_it(served: Served) -> None:
    (server,) = served.ask("/openapi.json").json["servers"]
    for document, base in (("https://a.example/openapi.json", ""), ("https://a.example/voice/openapi.json", "/voice")):
        found = urljoin(document, server["url"]).rstrip("/")  # as swagger-client does; the paths begin with a slash
        assert found == f"https://a.example{base}"


def test_every_path_of_the_document_is_there_and_names_its_method(served: Served) -> None:
    document = served.ask("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method in methods:
            assert served.ask(path, b"" if method == "post" else None).status in (200, 400)


def test_parameters_of_the_document_are_those_that_are_known(served: Served) -> None:
    names = [
        parameter["name"] for parameter in served.ask("/openapi.json").json["paths"]["/predict"]["post"]["parameters"]
    ]
    assert names == ["hop", "window", "peaks"]
    assert served.ask(f"/predict?{'&'.join(f'{name}=1' for name in names)}", wav()).status == 200


def test_bounds_of_the_document_are_those_that_hold(served: Served) -> None:
    for parameter in served.ask("/openapi.json").json["paths"]["/predict"]["post"]["parameters"]:
        name, low, high = parameter["name"], parameter["schema"]["minimum"], parameter["schema"]["maximum"]
        beside = {"hop": "&window=60", "window": "&hop=0.1", "peaks": ""}[name]
        for value, status in ((low, 200), (high, 200), (low - 0.01, 400), (high + 1, 400)):
            assert served.ask(f"/predict?{name}={value}{beside}", wav()).status == status, (name, value)


def test_the_document_names_every_flag_and_the_bounds_of_a_stream(served: Served) -> None:
    document = served.ask("/openapi.json").json
    told = document["components"]["schemas"]["Answer"]["properties"]["quality"]["description"]
    assert all(f"{word}: {meaning}" in told for word, meaning in FLAGS.items())
    stream = document["info"]["description"]
    assert "an even number of bytes" in stream
    assert "rate, 1000 to 768000 Hz (default 16000); window, 0.1 to 60 s (default 3); hop, 0.05 s to the" in stream
