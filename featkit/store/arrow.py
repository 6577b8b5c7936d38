"""pyarrow for all that reads and writes tables of features; where it is not installed, the pip line that brings it."""

from featkit import plugins

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as parquet
except ModuleNotFoundError as error:
    raise plugins.missing(error, "feature table") from None

__all__ = ["pa", "pa_csv", "parquet", "pc"]
