"""Categories are texts in a canonical form, which does not depend on the source.

A text file has ``1.0`` for integers in a column that once had gaps, and ``1`` otherwise; doubles
and decimals give ``1.0`` and ``1.00``; pandas writes ``True`` where Spark writes ``true``. These
are made equal. All else distinguishes categories: blanks, case, Unicode forms, leading zeros.
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

__all__ = ["canonical", "category_codes", "category_column", "category_list", "category_texts"]

# The same patterns are used by Python's re and by Spark's SQL.
_TRUTH = r"^(True|TRUE|False|FALSE)$"
_WHOLE = r"^(-?(?:0|[1-9][0-9]*))(?:\.0+)?$"
# Java's doubles from ten million up and below a thousandth, and its decimals equal to zero.
_EXPONENT = r"^-?(?:[0-9]\.[0-9]+|0)E-?[0-9]{1,2}$"
_LARGE = r"^-?(?:[0-9]\.[0-9]+E[0-9]{1,2}|0E-?[0-9]{1,2})$"


def canonical(text: str) -> str:
    """Return the canonical form of a category."""
    if re.fullmatch(_TRUTH, text):
        return text.lower()
    if whole := re.fullmatch(_WHOLE, text):
        return "0" if whole[1] == "-0" else whole[1]
    if re.fullmatch(_EXPONENT, text):
        number = Decimal(text)
        return str(int(number)) if number == int(number) else repr(float(number))
    return text


def category_list(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the sorted distinct categories of texts, in canonical form."""
    return tuple(sorted(set(map(canonical, texts))))


def category_texts(values: Iterable[Any]) -> pa.Array:
    """Return Python values as texts of categories; None and NaN are missing."""
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))  # pandas turns integers with gaps into floats
    return str(value)


def category_codes(texts: pa.Array, categories: Sequence[str]) -> pa.Array:
    """Return the position of each text's category; null for missing and unknown categories.

    Parameters
    ----------
    texts : pyarrow.Array of string, shape (n,)
        In any form.
    categories : sequence of str
        As `category_list` returns them.

    Returns
    -------
    pyarrow.Array of int32, shape (n,)
    """
    codes = pc.index_in(texts, value_set=pa.array(categories, pa.string()))
    if codes.null_count == texts.null_count:
        return codes
    place = {category: i for i, category in enumerate(categories)}
    found = texts.cast(pa.binary()).dictionary_encode()
    # Invalid UTF-8 is not in the list either.
    words = [word.decode(errors="surrogateescape") for word in found.dictionary.to_pylist()]
    return pa.array([place.get(canonical(word)) for word in words], pa.int32()).take(found.indices)


def category_column(text: Column) -> Column:
    """Return a string column of categories in canonical form."""
    from pyspark.sql import functions as F

    whole = F.regexp_extract(text, _WHOLE, 1)
    large = text.try_cast("double").try_cast("decimal(38,0)")
    return (
        F.when(text.rlike(_TRUTH), F.lower(text))
        .when(text.rlike(_WHOLE), F.when(whole == "-0", F.lit("0")).otherwise(whole))
        .when(text.rlike(_LARGE) & (large == text.try_cast("double")), large.cast("string"))
        .otherwise(text)
    )
