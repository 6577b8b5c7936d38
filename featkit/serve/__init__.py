"""One model over HTTP: API, socket and page. Everything in memory, nothing from elsewhere.

Needs the extra ``serve``: starlette, uvicorn, websockets, python-multipart.
"""

from featkit.errors import ServeError
from featkit.serve.app import create_app
from featkit.serve.limits import Limits

__all__ = ["Limits", "ServeError", "create_app"]
