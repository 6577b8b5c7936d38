"""What stands before every request: whom it is meant for, who asks, and which headers go back."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featkit.errors import ServeError
from featkit.serve.refusals import RequestError, refused

OPEN_PATHS = frozenset({"/", "/health", "/openapi.json"})
"""Answered without a token, beside the parts of the page: they tell nothing of the model."""

_HEADERS = {
    # Nothing but our own files, and none of them inline: a file name or label that is HTML stays text.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")


class Guard:
    """ASGI middleware: host, origin, token, headers.

    Parameters
    ----------
    app
        What is guarded.
    hosts
        Names by which the server may be called. A page elsewhere whose name points at this computer (DNS rebinding)
        calls it by another.
    addresses
        Whether any IP address will do as a name, as a server on all interfaces needs; rebinding needs a name.
    token
        What clients must show, or None.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], addresses: bool, token: str | None) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._addresses = addresses
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            self._check(scope)
        except RequestError as refusal:
            await refused(refusal)(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            raise RequestError(400, "wrong_host", "The Host header does not name this server.")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        origin = headers.get("origin")
        if changes and origin is not None and _place(origin) != host.lower():
            raise RequestError(403, "wrong_origin", "Pages of other origins may not use this server.")
        path = scope["path"]
        if self._token and path not in OPEN_PATHS and not path.startswith("/static/") and not self._shown(headers):
            reason = "This server asks for its token: send the header 'Authorization: Bearer TOKEN'."
            raise RequestError(401, "wrong_token", reason, {"WWW-Authenticate": "Bearer"})

    def _known(self, host: str) -> bool:
        """Whether a Host header is ours; the port does not matter."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._addresses

    def _shown(self, headers: Headers) -> bool:
        """Whether the token is there: as a bearer, or as a socket's subprotocol, for pages cannot set its headers."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        offers = [offer.strip() for offer in headers.get("sec-websocket-protocol", "").split(",")]
        tokens = [offer.removeprefix("token.") for offer in offers if offer.startswith("token.")]
        if kind.lower() == "bearer":
            tokens.append(given.strip())
        return any(hmac.compare_digest(token.encode(), str(self._token).encode()) for token in tokens)


def _place(origin: str) -> str | None:
    """Host and port of an origin, or None if it is none, as "null" is none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def check_token(token: str) -> None:
    """Refuse a token that is too short or does not fit into a header."""
    if not _TOKEN.fullmatch(token):
        raise ServeError("A token has 16 to 200 letters, digits or . _ ~ -; make one: openssl rand -hex 16")
