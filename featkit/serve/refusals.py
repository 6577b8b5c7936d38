"""How the server says no: a status, a code for programs and a reason for people. Never a path, never a traceback."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from featkit.errors import FeatkitError

REFUSED = "featkit.refused"
"""The key of the ASGI scope that holds the code of a refusal, for whoever counts them."""


class RequestError(FeatkitError):
    """A request that is not answered. Its text is the reason.

    Parameters
    ----------
    status
        HTTP status.
    code
        One word for programs; docs/serving.md lists them.
    reason
        One sentence for people: what is, what should be.
    headers
        Further headers of the answer, as ``Retry-After``.
    """

    def __init__(self, status: int, code: str, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason, self.headers = status, code, reason, headers or {}

    def body(self) -> dict[str, str]:
        """What the client reads."""
        return {"code": self.code, "reason": self.reason}


def busy(reason: str) -> RequestError:
    """Too much at once: come again."""
    return RequestError(503, "busy", f"{reason} Come again in a second.", {"Retry-After": "1"})


def json_response(content: Any) -> Response:
    """An answer."""
    return Response(_json(content), media_type="application/json")


def _json(content: Any) -> bytes:
    """In UTF-8; numbers that JSON has no word for are a mistake of ours and raise."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def refused(refusal: RequestError) -> Response:
    """The refusal as a response."""
    return _Refusal(refusal)


class _Refusal(Response):
    def __init__(self, refusal: RequestError) -> None:
        super().__init__(_json(refusal.body()), refusal.status, refusal.headers, "application/json")
        self._code = refusal.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REFUSED] = self._code
        await super().__call__(scope, receive, send)
