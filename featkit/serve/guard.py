"""What stands before every request: whom it is meant for, who asks, and which headers go back."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
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
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_USUAL_PORTS = {"http": 80, "https": 443}  # which browsers leave out


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
    origins
        Of pages elsewhere that may ask as our own page does, as ``http://localhost:3000``.

    Raises
    ------
    ServeError
        What should be an origin is none.
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str], addresses: bool, token: str | None, origins: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._origins = frozenset(map(as_origin, origins))
        self._within: ASGIApp = self._ask_token
        if self._origins:  # around the question for the token, which no preflight shows
            self._within = CORSMiddleware(
                self._within,
                allow_origins=self._origins,
                allow_methods=("GET", "POST"),
                allow_headers=("*",),
                allow_private_network=True,  # Chromium asks for it where a public page calls this computer
                expose_headers=("Retry-After",),
            )
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
        await self._within(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            raise RequestError(400, "wrong_host", "The Host header does not name this server.")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        origin = headers.get("origin")
        if changes and origin is not None and origin not in self._origins and not _is_own(origin, host):
            raise RequestError(403, "wrong_origin", "Pages of other origins may not use this server.")

    async def _ask_token(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, app = scope["path"], self._app
        open_to_all = path in OPEN_PATHS or path.startswith("/static/")
        if self._token and not open_to_all and not self._shown(Headers(scope=scope)):
            reason = "This server asks for its token: send the header 'Authorization: Bearer TOKEN'."
            app = refused(RequestError(401, "wrong_token", reason, {"WWW-Authenticate": "Bearer"}))
        await app(scope, receive, send)

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


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is this very host: the port that browsers leave out may be there or not."""
    try:
        page, here = urlsplit(origin), urlsplit(f"//{host}")
        usual = _USUAL_PORTS[page.scheme]
        return (page.hostname, page.port or usual) == (here.hostname, here.port or usual)
    except (KeyError, ValueError):  # "null", an app's own scheme, no port at all
        return False


def as_origin(text: str) -> str:
    """An origin as browsers send it: without the port that they leave out.

    Examples
    --------
    >>> as_origin("https://app.example:443")
    'https://app.example'
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ServeError(
            f"'{text}' is no origin: give scheme, host and port in small letters and nothing behind them, as in "
            "http://localhost:3000."
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and int(port) != _USUAL_PORTS.get(scheme) else "")


def check_host(name: str) -> None:
    """Refuse what no Host header names: a URL, or a name with its port."""
    if not _HOST.fullmatch(name):
        raise ServeError(f"'{name}' is no name of a host: give it alone, as in emotions.example, without port or path.")


def check_token(token: str) -> None:
    """Refuse a token that is too short or does not fit into a header."""
    if not _TOKEN.fullmatch(token):
        raise ServeError("A token has 16 to 200 letters, digits or . _ ~ -; make one: openssl rand -hex 16")
