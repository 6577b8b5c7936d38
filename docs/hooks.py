"""What the site does with commands and pages before it shows them. No page of the site."""

from __future__ import annotations

import inspect
import re
from typing import Any

import click

_EXAMPLES = re.compile(r"\x08\n((?:.+\n?)+)")
_FIGURES = re.compile(r"<td( [^>]*)?>([-+<≥≤]?[\d.]+(?: → [\d.]+)? ?\[[^\]<]+\])</td>")
_OUTSIDE = re.compile(r"\[[^\]]+\]\(\.\./([^)]+)\)")


def on_config(config: Any) -> None:
    """The examples in the help of a command, which click prints as they are behind a ``\\b``, become blocks of code."""
    from featkit.cli import cli

    for command in _commands(cli):
        command.help = _EXAMPLES.sub(r"```text\n\1\n```\n", inspect.cleandoc(command.help or ""))


def _commands(group: click.Group) -> list[click.Command]:
    found: list[click.Command] = [group]
    for command in group.commands.values():
        found += _commands(command) if isinstance(command, click.Group) else [command]
    return found


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Name the files of the repository that are no pages, or link them where the repository has an address."""
    if "/" in page.file.src_uri:
        return markdown
    code = f"{config.repo_url.rstrip('/')}/blob/main" if config.repo_url else None
    return _OUTSIDE.sub(rf"[`\1`]({code}/\1)" if code else r"`\1`", markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """A score and its interval stay in one line of a table."""
    return _FIGURES.sub(r'<td\1><span class="figure">\2</span></td>', html)
