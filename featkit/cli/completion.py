"""What a shell may offer for a name that is being typed. Entry points are read; no plug-in is imported."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from featkit import plugins


class _Name(StringParamType):
    """Text as it is typed, which may be the name of a plug-in, or several joined by ``+``."""

    def __init__(self, kind: plugins.Kind) -> None:
        self._kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin so; where there is none, the shell offers files."""
        head, plus, begun = incomplete.rpartition("+") if self._kind == "features" else ("", "", incomplete)
        names = [name for name in plugins.installed(self._kind) if name.startswith(begun)]
        return [CompletionItem(head + plus + name) for name in names] or [CompletionItem(incomplete, type="file")]


_KINDS = {
    "SET": _Name("features"),
    "BACKEND": _Name("backends"),
    "DATA": _Name("datasets"),
    "NAME:PATH": _Name("datasets"),
    "name": _Name("datasets"),
}
"""What stands for a value in the help, else the name of an argument → what is offered for it."""


def offer_names(command: click.Command) -> None:
    """Let the options and arguments of a command, and of those below it, offer names of plug-ins."""
    for param in command.params:
        param.type = _KINDS.get(param.metavar or param.name or "", param.type)
    for below in getattr(command, "commands", {}).values():
        offer_names(below)
