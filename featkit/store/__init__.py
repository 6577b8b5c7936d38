"""Feature tables on disk: Parquet with the recipe in its schema, and CSV, ARFF or NumPy that are made of it.

Whoever reads tables needs pyarrow only when one is read.
"""

from featkit.store.table import FeatureTable, is_table, read_table

__all__ = ["FeatureTable", "is_table", "read_table"]
