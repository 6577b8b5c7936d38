"""The API as an OpenAPI document, written by hand: three requests need no generator."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from featkit.audio import RATES, SAMPLE_RATE
from featkit.quality import FLAGS
from featkit.serve.clips import FORMATS
from featkit.serve.limits import Limits
from featkit.serve.query import HOP, MAX_PEAKS, SHORTEST_HOP, WINDOW, WINDOWS


def document(limits: Limits) -> dict[str, Any]:
    """OpenAPI 3.1, with the limits of this server."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "featkit",
            "version": version("featkit"),
            "description": f"Emotion in speech: one model. {_STREAM}",
        },
        "servers": [{"url": "."}],  # beside this document, for a proxy may have put a path before it
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
        "paths": {
            "/health": {"get": _operation("Whether the server is there.", _HEALTH, {})},
            "/metrics": {"get": _operation("What has been counted, for Prometheus.", _TEXT, {}, "text/plain")},
            "/model": {"get": _operation("The model card and the limits.", _MODEL, {})},
            "/predict": {"post": _upload("Label one clip.", "Answer", limits, {})},
            "/batch": {
                "post": _upload(
                    f"Label up to {limits.max_files} clips. A bad one costs its own row. A raw body is one clip "
                    "without a name.",
                    "Answers",
                    limits,
                    _MANY,
                )
            },
        },
    }


def _operation(
    summary: str, schema: dict[str, Any], codes: dict[str, str], kind: str = "application/json"
) -> dict[str, Any]:
    told = {"200": "OK", "400": "Wrong host or request", "401": "Token missing"} | codes
    refusal = {"$ref": "#/components/schemas/Refusal"}
    return {
        "summary": summary,
        "responses": {
            code: {
                "description": text,
                "content": {kind: {"schema": schema}} if code == "200" else {"application/json": {"schema": refusal}},
            }
            for code, text in told.items()
        },
    }


def _upload(summary: str, schema: str, limits: Limits, files: dict[str, Any]) -> dict[str, Any]:
    raw = _clip(limits)
    content = {"multipart/form-data": _form(files), "application/octet-stream": raw, "audio/*": raw}
    return _operation(summary, {"$ref": f"#/components/schemas/{schema}"}, _CODES) | {
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": content},
    }


def _clip(limits: Limits) -> dict[str, Any]:
    most = f"{FORMATS}; up to {limits.max_bytes} bytes and {limits.max_seconds:g} s"
    return {"schema": {"type": "string", "format": "binary", "description": most}}


def _form(more: dict[str, Any]) -> dict[str, Any]:
    file = {"type": "string", "format": "binary"}
    return {"schema": {"type": "object", "properties": {"file": more | {"items": file} if more else file}}}


def _parameter(name: str, kind: str, text: str, **bounds: float) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind} | bounds}


_STREAM = (
    "WebSocket /stream takes mono little-endian 16-bit samples as binary messages of an even number of bytes, and "
    f"answers every window by a JSON object; the text 'end' ends it. Query: rate, {RATES[0]} to {RATES[1]} Hz (default "
    f"{SAMPLE_RATE}); window, {WINDOWS[0]:g} to {WINDOWS[1]:g} s (default {WINDOW:g}); hop, {SHORTEST_HOP:g} s to the "
    f"window (default {HOP:g}, or the window if that is shorter)."
)
_MANY = {"type": "array"}
_PARAMETERS = [
    _parameter(
        "hop", "number", "Also a timeline, a window every hop seconds; at most the length of a window.",
        minimum=SHORTEST_HOP, maximum=WINDOWS[1],
    ),
    _parameter(
        "window", "number", "Seconds of a window of the timeline; refused without hop.",
        minimum=WINDOWS[0], maximum=WINDOWS[1], default=WINDOW,
    ),
    _parameter(
        "peaks", "integer", "Also the waveform as so many pairs of lowest and highest sample, or fewer.",
        minimum=0, maximum=MAX_PEAKS, default=0,
    ),
]  # fmt: skip
_CODES = {
    "403": "Another origin",
    "408": "The body came too slowly",
    "413": "Too many bytes, seconds or files",
    "415": "No audio",
    "422": "Audio that cannot be used: truncated, silent, too short",
    "503": "Busy or too slow; Retry-After says when to come again",
}
_PROBABILITIES = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}
_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_REFUSAL = {"type": "object", "required": ["code", "reason"], "properties": {"code": _TEXT, "reason": _TEXT}}
_HEALTH = {"type": "object", "required": ["status"], "properties": {"status": _TEXT}}
_MODEL = {
    "type": "object",
    "required": ["name", "labels", "card", "cautions", "max_bytes", "max_seconds", "max_files"],
    "properties": {
        "name": _TEXT, "labels": {"type": "array", "items": _TEXT}, "cautions": {"type": "array", "items": _TEXT},
        "card": {"type": "object", "additionalProperties": _TEXT}, "recalls": {"type": ["object", "null"]},
        "max_bytes": _NUMBER, "max_seconds": _NUMBER, "max_files": _NUMBER, "window": _NUMBER, "featkit": _TEXT,
        "synthetic": {"type": "boolean"},
    },
}  # fmt: skip
_WINDOW = {
    "type": "object",
    "required": ["start", "end", "label"],
    "properties": {
        "start": _NUMBER, "end": _NUMBER, "label": {"type": ["string", "null"]}, "probabilities": _PROBABILITIES,
        "reason": _TEXT,
    },
}  # fmt: skip
_QUALITY = {
    "type": "array",
    "items": _TEXT,
    "description": "What is odd about the recording: a word and mostly a number, as 'clipped 3.1 %'. None for most. "
    + "; ".join(f"{word}: {meaning}" for word, meaning in FLAGS.items()),
}
_ANSWER = {
    "type": "object",
    "required": ["label", "probabilities", "seconds", "quality"],
    "properties": {
        "label": _TEXT, "probabilities": _PROBABILITIES, "seconds": _NUMBER, "quality": _QUALITY,
        "timeline": {"type": "array", "items": _WINDOW},
        "peaks": {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}},
    },
}  # fmt: skip
_ROW = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": _TEXT, "error": _REFUSAL} | _ANSWER["properties"],  # type: ignore[operator]
}
_SCHEMAS = {
    "Refusal": _REFUSAL,
    "Answer": _ANSWER,
    "Answers": {"type": "object", "properties": {"results": {"type": "array", "items": _ROW}}},
}
