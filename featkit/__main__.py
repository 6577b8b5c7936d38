"""``python -m featkit``."""

from featkit.cli import main

main()
