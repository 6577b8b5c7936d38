"""Put the kept rows into README.md (UA of every corpus) and docs/scores.md (all columns), and draw their intervals.

    python benchmarks/readme.py benchmarks/results/rows.jsonl

Tables stand between <!-- table:begin --> and <!-- table:end -->; pictures are docs/assets/scores-CORPUS.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from featkit import plots
from featkit.benchmark.report import cells, grouped, report
from featkit.benchmark.rows import Row, RowFile
from featkit.errors import DataError, FeatkitError
from featkit.tables import markdown

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"


def with_table(text: str, table: str) -> str:
    """The text with ``table`` between its markers, in place of what stood there.

    Raises
    ------
    DataError
        The markers are missing, or stand in another order.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise DataError(f"The page needs the markers {BEGIN} and {END}, in this order, to hold the table.")
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def side_by_side(rows: Sequence[Row]) -> str:
    """One line a recipe with its UA on every corpus; kB and ms of the model of the first."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    corpora = [group[0].corpus for group in grouped(rows)]
    for corpus, group in zip(corpora, grouped(rows), strict=True):
        for cell in cells(group):
            line = lines.setdefault(
                (cell["features"], cell["backend"]), {"features": cell["features"], "backend": cell["backend"]}
            )
            line |= {f"UA {name}": line.get(f"UA {name}", "") for name in corpora} | {f"UA {corpus}": cell["UA"]}
            line |= {name: line.get(name, cell.get(name, "")) for name in ("kB", "ms")}
    return markdown(list(lines.values()))


def draw(rows: Sequence[Row]) -> dict[str, bytes]:
    """A picture of the intervals of each corpus, by name of its file."""
    found = {}
    for group in grouped(rows):
        told = [row.evaluation for row in group]
        figure = plots.intervals(
            [str(row.recipe) for row in group], [one.ua for one in told], [one.ua_interval for one in told],
            chance=1 / len(told[0].labels), axis=f"UA on {group[0].corpus}, %, with 95 % interval over speakers",
        )  # fmt: skip
        found[f"scores-{group[0].corpus}.png"] = plots.png(figure)
    return found


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), default=Path(__file__).parents[1], help="Folder of README.md.")
def main(rows: Path, root: Path) -> None:
    """Write the tables and pictures of ROWS."""
    try:
        found = RowFile(rows).read()
        tables = {root / "README.md": side_by_side(found), root / "docs" / "scores.md": report(found)}
        texts = {page: with_table(page.read_text(encoding="utf-8"), table) for page, table in tables.items()}
        pictures = draw(found)
    except FeatkitError as error:
        raise click.ClickException(str(error)) from None
    for page, text in texts.items():
        page.write_text(text, encoding="utf-8")
    for name, picture in pictures.items():
        (root / "docs" / "assets" / name).write_bytes(picture)
    click.echo(f"{', '.join(map(str, texts))}: {len(found)} rows")


if __name__ == "__main__":
    main()
