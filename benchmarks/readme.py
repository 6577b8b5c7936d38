"""Put the table of kept rows into README.md, between the markers <!-- table:begin --> and <!-- table:end -->.

python benchmarks/readme.py benchmarks/results/rows.jsonl
"""

from __future__ import annotations

from pathlib import Path

import click

from featkit.benchmark.report import report
from featkit.benchmark.rows import RowFile
from featkit.errors import DataError, FeatkitError

BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
README = Path(__file__).parents[1] / "README.md"


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


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--page", type=click.Path(path_type=Path), default=README, help="The page that holds the markers.")
def main(rows: Path, page: Path) -> None:
    """Write the table of ROWS into the page."""
    try:
        found = RowFile(rows).read()
        page.write_text(with_table(page.read_text(encoding="utf-8"), report(found)), encoding="utf-8")
    except FeatkitError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{page}: {len(found)} rows")


if __name__ == "__main__":
    main()
