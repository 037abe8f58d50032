"""What needs all rows at once refuses a structured stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["refuse_stream"]


def refuse_stream(df: DataFrame, what: str, why: str) -> None:
    """Raise where a DataFrame is a structured stream.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    what : str
        What was called, for the message, such as ``"KMeans.fit"``.
    why : str
        What it does that an open stream cannot have.

    Raises
    ------
    DataError
        ``stream_not_supported``.
    """
    if getattr(df, "isStreaming", False):
        raise DataError(
            "stream_not_supported",
            f"{what} takes no structured stream: it {why}.",
            "Call it for each batch: stream.writeStream.foreachBatch(lambda batch, number: …).",
        )
