"""The program, as ``featkit`` and as ``python -m featkit``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point. What it needs is imported inside, so that Ctrl-C is answered from its first moment on."""
    try:
        from featkit.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
