"""The formats of files, in a module that imports nothing: command lines name them."""

from __future__ import annotations

__all__ = ["FORMATS", "TEXT_FORMATS"]

FORMATS = ("parquet", "csv", "tsv", "libsvm")

#: Formats whose columns have no types.
TEXT_FORMATS = ("csv", "tsv")
