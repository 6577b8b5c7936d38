"""Recipes measured on corpora: rows that can be shown, compared and made again."""

from featkit.benchmark.compare import Comparison, Verification, compare, compare_rows, verify
from featkit.benchmark.recipe import Protocol, Recipe
from featkit.benchmark.report import report
from featkit.benchmark.rows import Row, RowFile, find_row
from featkit.benchmark.runner import Options, benchmark, measured

__all__ = [
    "Comparison", "Options", "Protocol", "Recipe", "Row", "RowFile", "Verification", "benchmark", "compare",
    "compare_rows", "find_row", "measured", "report", "verify",
]  # fmt: skip
