"""States as a caller writes them, words for categories, become the numbers that policies take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.categories import category_codes, category_texts
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.reinforcement.flat_rows import flat_rows

__all__ = ["coded_states"]


def coded_states(states: Any, schema: FeatureSchema, *, one: bool = False) -> npt.NDArray[Any]:
    """Return states as numbers; the words of categorical features become their codes.

    Parameters
    ----------
    states : array-like, shape (n, n_features)
        Numbers are returned as they are. Rows with words may mix these with numbers; with one
        feature a row may be its value.
    schema : FeatureSchema
        The encoding of the state columns.
    one : bool, default=False
        Whether `states` is a single state.

    Returns
    -------
    ndarray of float64, shape (n, n_features)
        NaN for null, and for a category that the log does not have.

    Raises
    ------
    DataError
        ``column_type`` for a word where a feature is a number.
    ConfigurationError
        ``invalid_param`` for rows of another width.
    """
    if not isinstance(states, str):
        found = np.asarray(states, dtype=None if _even(states) else object)
        if found.dtype.kind in "biuf":
            return found
    words = np.asarray(states, object)
    rows = words.reshape(1, -1) if one else flat_rows(words)
    if rows.shape[1] != schema.n_features:
        raise ConfigurationError(
            "invalid_param",
            f"A state has {schema.n_features} features. Got {rows.shape[1]}.",
            f"They are: {', '.join(schema.feature_names[:12])}.",
        )
    coded = np.full(rows.shape, np.nan)
    categories = [c.categories for c in schema.columns for _ in range(c.size)]
    for i, (name, known) in enumerate(zip(schema.feature_names, categories, strict=True)):
        column = rows[:, i].tolist()
        if known:
            codes = category_codes(category_texts(column), known)
            coded[:, i] = codes.cast(pa.float64()).to_numpy(zero_copy_only=False)
            continue
        try:
            coded[:, i] = [np.nan if v is None else float(v) for v in column]
        except (TypeError, ValueError) as error:
            raise DataError(
                "column_type", f"The state feature {name!r} is a number: {error}.", "Cast it."
            ) from error
    return coded


def _even(states: Any) -> bool:
    """Tell whether numpy makes numbers of rows by itself, without turning them into words."""
    try:
        return np.asarray(states).dtype.kind in "biuf"
    except ValueError:
        return False
