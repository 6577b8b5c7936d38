"""The application: which path is answered by what."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from featkit import card
from featkit.errors import ModelError
from featkit.runtime import Model
from featkit.serve.answers import Answerer
from featkit.serve.guard import Guard
from featkit.serve.limits import Desk, Limits
from featkit.serve.live import Live
from featkit.serve.metrics import MEDIA_TYPE, Counts, resident
from featkit.serve.openapi import document
from featkit.serve.query import WINDOW, Wishes
from featkit.serve.refusals import RequestError, json_response, refused
from featkit.serve.uploads import body_of
from featkit.serve.watch import Watch

LOOPBACK = ("localhost", "127.0.0.1", "::1")

_STREAM = "/stream"
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def create_app(
    model: Model,
    name: str,
    limits: Limits | None = None,
    *,
    hosts: tuple[str, ...] = LOOPBACK,
    addresses: bool = False,
    token: str | None = None,
    origins: tuple[str, ...] = (),
    log: Callable[[str], object] | None = None,
) -> ASGIApp:
    """The ASGI application that serves one model: API, socket and page.

    Parameters
    ----------
    model
        From `featkit.load`.
    name
        How the model is called on the page: the name of its file.
    limits
        What one request may cost. Default: `Limits()`.
    hosts, addresses, token, origins
        As in `featkit.serve.guard.Guard`.
    log
        As in `featkit.serve.watch.Watch`: takes a line for every request.

    Raises
    ------
    ServeError
        What should be an origin is none.
    ModelError
        The model judges a clip beside the others of its speaker; a request has no others.
    """
    if model.normalise:
        raise ModelError(
            f"{name}: judges a clip beside the others of its speaker (normalise='speaker'), and a request tells no "
            "speaker. Serve a model that was trained without --normalise."
        )
    limits = limits or Limits()
    desk, counts = Desk(limits), Counts()
    live = Live(model, desk, counts)
    answerer, about = Answerer(model, limits), _about(model, name, limits)

    async def health(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def tell(request: Request) -> Response:
        return json_response(about)

    async def describe(request: Request) -> Response:
        return json_response(document(limits))

    async def count(request: Request) -> Response:
        return Response(counts.text(_now(desk, live) | resident()), media_type=MEDIA_TYPE)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        desk.close()

    routes: list[Route | WebSocketRoute] = [
        Route("/health", health),
        Route("/model", tell),
        Route("/openapi.json", describe),
        Route("/metrics", count),
        Route("/predict", _posted(answerer.one, desk, counts), methods=["POST"]),
        Route("/batch", _posted(answerer.many, desk, counts), methods=["POST"]),
        WebSocketRoute(_STREAM, live),
        *_page(),
    ]
    answers = {RequestError: _refuse, HTTPException: _explain, Exception: _fail}
    app = Starlette(routes=routes, exception_handlers=answers, lifespan=lifespan)  # type: ignore[arg-type]
    app.router.redirect_slashes, app.router.default = False, _nowhere
    guarded = Guard(app, hosts, addresses, token, origins)
    return Watch(guarded, {route.path for route in routes}, counts, log)


def _posted(
    job: Callable[[bytes, str, Wishes], dict[str, Any]], desk: Desk, counts: Counts
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        wishes = Wishes.of(request.query_params)
        async with body_of(request, desk) as body:
            start = time.perf_counter()
            answer = await desk.work(job, body, request.headers.get("content-type", ""), wishes)
        counts.answered(request.scope["path"], time.perf_counter() - start, answer)
        return json_response(answer)

    return endpoint


def _now(desk: Desk, live: Live) -> dict[str, float]:
    """How busy the server is."""
    return {
        "featkit_streams": live.open,
        "featkit_places": desk.limits.places,
        "featkit_places_taken": desk.taken,
        "featkit_upload_bytes": desk.buffered,
    }


def _page() -> list[Route]:
    """The page and its parts, read once: a request opens no file."""
    routes = []
    for path in sorted((Path(__file__).parent / "static").iterdir()):
        url = "/" if path.name == "index.html" else f"/static/{path.name}"
        routes.append(Route(url, _file(path.read_bytes(), _TYPES[path.suffix])))
    return routes


def _file(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


def _about(model: Model, name: str, limits: Limits) -> dict[str, Any]:
    """The model card and what may be asked, for programs and the page."""
    return card.shown(model.recipe, model.inputs, name) | {
        "window": WINDOW,
        "max_bytes": limits.max_bytes,
        "max_seconds": limits.max_seconds,
        "max_files": limits.max_files,
    }


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Every path that is none, asked for by HTTP or as a socket."""
    refusal = RequestError(404, "unknown_path", "There is nothing here; /openapi.json lists what there is.")
    if scope["path"] == _STREAM:  # as a socket it would have been found
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        refusal = RequestError(426, "not_websocket", "This path is a WebSocket; open it as ws://… or wss://…", headers)
    await refused(refusal)(scope, receive, send)


async def _refuse(request: Request, error: RequestError) -> Response:
    return refused(error)


async def _explain(request: Request, error: HTTPException) -> Response:
    """What starlette refuses itself: other methods."""
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return refused(RequestError(405, "wrong_method", f"This path knows {allowed}.", {"Allow": allowed}))
    return refused(RequestError(error.status_code, "bad_request", "The request cannot be read."))


async def _fail(request: Request, error: Exception) -> Response:
    """A mistake of ours: the log tells which, the client does not learn it."""
    return refused(RequestError(500, "mistake", "The server made a mistake; its log tells more."))
