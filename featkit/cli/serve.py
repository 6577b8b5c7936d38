"""``featkit serve``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featkit.cli.common import FILE, finite, option

if TYPE_CHECKING:
    import uvicorn


@click.command(short_help="Serve a model: page, HTTP API and WebSocket.")
@option("--host", default="127.0.0.1", help="Address to listen on. Any but this computer's own needs a token.")
@option("--port", default=8000, type=click.IntRange(0, 65535), help="0 for any free one.")
@option(
    "--token", envvar="FEATKIT_TOKEN", metavar="TOKEN", show_envvar=True,
    help="Ask clients for this word of 16 characters or more; other users of this computer can read the command line.",
)  # fmt: skip
@option("--allow-host", multiple=True, metavar="NAME", help="A further name by which the server may be called.")
@option(
    "--allow-origin", multiple=True, metavar="ORIGIN",
    help="A page elsewhere that may ask as the server's own page does, as http://localhost:3000.",
)  # fmt: skip
@option(
    "--max-mb",
    default=32.0,
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    help="Most megabytes of one request.",
)
@option(
    "--max-seconds",
    default=300.0,
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    help="Most audio in one request.",
)
@option(
    "--timeout",
    default=30.0,
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    help="Seconds an answer may take.",
)
@option(
    "--places", default=64, type=click.IntRange(min=1), metavar="N", help="Requests at once; more are answered 503."
)
@option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Threads that recognise.  [default: cores, 4 at most]"
)
@option("--access-log", is_flag=True, help="Write a line for every request to stderr, without addresses and queries.")
@click.argument("model", type=FILE)
def serve(model: Path, host: str, port: int, token: str | None, **given: Any) -> None:
    """Serve an exported MODEL: page, HTTP API and WebSocket.

    \b
    featkit serve model.onnx                            open http://127.0.0.1:8000
    FEATKIT_TOKEN=… featkit serve model.onnx --host 0.0.0.0
    """
    from featkit.runtime import load
    from featkit.serve.server import bound, is_loopback, shown

    recogniser = load(model)
    place = bound(host, port)
    with place:
        local = is_loopback(place)
        running = _prepared(recogniser, model.name, (host, place.getsockname()[0]), local, token, **given)
        where = shown(place)
        click.echo(f"{model.name}: {', '.join(recogniser.labels)}")
        click.echo(f"{where}/{'#token=…' if token else ''}  Ctrl-C stops. {_reach(local, given['allow_host'], token)}")
        try:
            running.run(sockets=[place])
        except KeyboardInterrupt:  # uvicorn has stopped in good order and tells of it again
            click.echo("Stopped.")


def _prepared(
    model: Any, name: str, own: tuple[str, str], local: bool, token: str | None, allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...], max_mb: float, max_seconds: float, timeout: float, places: int, workers: int | None,
    access_log: bool,
) -> uvicorn.Server:  # fmt: skip
    """The server; ``own`` is the host that was asked for and the address that it turned out to be."""
    from featkit.errors import ServeError
    from featkit.serve import Limits, create_app
    from featkit.serve.app import LOOPBACK
    from featkit.serve.guard import check_host, check_token
    from featkit.serve.server import server

    if token is not None:
        check_token(token)
    elif not local:
        raise ServeError(
            f"{own[0]} can be reached from other computers, so the server needs a token: set FEATKIT_TOKEN, for "
            "example to what 'openssl rand -hex 16' prints."
        )
    more = {} if workers is None else {"workers": workers}
    limits = Limits(max_bytes=int(max_mb * 1e6), max_seconds=max_seconds, timeout=timeout, places=places, **more)
    for host in allow_host:
        check_host(host)
    app = create_app(
        model, name, limits, hosts=(*LOOPBACK, *own, *allow_host), addresses=not local, token=token,
        origins=allow_origin, log=_logged if access_log else None,
    )  # fmt: skip
    return server(app, limits)


def _logged(line: str) -> None:
    with suppress(OSError):  # whoever read stderr has gone; that is no reason to answer nobody
        click.echo(line, err=True)


def _reach(local: bool, names: tuple[str, ...], token: str | None) -> str:
    """Who can reach it. A further name is that of a proxy, for who else would call this computer by it?"""
    if not local:
        return "Other computers can reach it, unencrypted, with the token."
    if not names:
        return "Only this computer can reach it."
    asked = "with the token" if token else "and no token is asked for"
    return f"This computer can reach it, and whoever a proxy lets in as {', '.join(names)}, {asked}."
