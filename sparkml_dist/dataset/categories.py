"""Categories are texts, and each has one spelling whatever the source.

A text file has ``1.0`` where a table had gaps once and ``1`` where it had none, columns of doubles
and decimals have ``1.0`` and ``1.00``, and pandas writes ``True`` where Spark writes ``true``. All
else is told apart as it stands: blanks, upper and lower case, forms of Unicode, leading zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["category_codes", "category_column", "category_list", "category_texts", "spelled"]

# The same patterns serve Python's re and Spark's SQL.
_TRUTH = r"^(True|TRUE|False|FALSE)$"
_WHOLE = r"^(-?(?:0|[1-9][0-9]*))(?:\.0+)?$"
# Java's doubles from ten millions on and below a thousandth, and its decimals of nothing.
_EXPONENT = r"^-?(?:[0-9]\.[0-9]+|0)E-?[0-9]{1,2}$"
_LARGE = r"^-?(?:[0-9]\.[0-9]+E[0-9]{1,2}|0E-?[0-9]{1,2})$"


def spelled(text: str) -> str:
    """Return the one spelling of a category."""
    if re.fullmatch(_TRUTH, text):
        return text.lower()
    if whole := re.fullmatch(_WHOLE, text):
        return "0" if whole[1] == "-0" else whole[1]
    if re.fullmatch(_EXPONENT, text):
        number = Decimal(text)
        return str(int(number)) if number == int(number) else repr(float(number))
    return text


def category_list(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the categories behind texts: one spelling of each, sorted."""
    return tuple(sorted(set(map(spelled, texts))))


def category_texts(values: Iterable[Any]) -> pa.Array:
    """Return Python's values (None and NaN are missing) as texts of categories."""
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))  # pandas makes floats of integers with gaps
    return str(value)


def category_codes(texts: pa.Array, categories: Sequence[str]) -> pa.Array:
    """Return the position of each text's category, null for what is missing or not in the list.

    Parameters
    ----------
    texts : pyarrow.Array of string, shape (n,)
        In any spelling.
    categories : sequence of str
        As `category_list` gives them.

    Returns
    -------
    pyarrow.Array of int32, shape (n,)
    """
    codes = pc.index_in(texts, value_set=pa.array(categories, pa.string()))
    if codes.null_count == texts.null_count:
        return codes
    place = {category: i for i, category in enumerate(categories)}
    found = texts.cast(pa.binary()).dictionary_encode()
    # Bytes that are no text are no category either.
    words = [word.decode(errors="surrogateescape") for word in found.dictionary.to_pylist()]
    return pa.array([place.get(spelled(word)) for word in words], pa.int32()).take(found.indices)


def category_column(text: Column) -> Column:
    """Return texts of categories, a column of strings, in their one spelling."""
    from pyspark.sql import functions as F

    whole = F.regexp_extract(text, _WHOLE, 1)
    large = text.try_cast("double").try_cast("decimal(38,0)")
    return (
        F.when(text.rlike(_TRUTH), F.lower(text))
        .when(text.rlike(_WHOLE), F.when(whole == "-0", F.lit("0")).otherwise(whole))
        .when(text.rlike(_LARGE) & (large == text.try_cast("double")), large.cast("string"))
        .otherwise(text)
    )
