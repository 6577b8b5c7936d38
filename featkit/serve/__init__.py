"""One model over HTTP: API, socket and page. Everything in memory, nothing from elsewhere.

Needs the extra ``serve``: starlette, uvicorn, websockets, python-multipart.
"""

from featkit import plugins
from featkit.errors import ServeError

try:
    from featkit.serve.app import create_app
    from featkit.serve.limits import Limits
except ModuleNotFoundError as error:
    raise plugins.missing(error, "server") from None

__all__ = ["Limits", "ServeError", "create_app"]
