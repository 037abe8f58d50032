"""Assigns the roles of a table's columns: label, features, categories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.tables.schema import TableSchema

__all__ = [
    "AUTO",
    "TYPES",
    "Roles",
    "check_names",
    "check_same_roles",
    "declared_kinds",
    "find_column",
    "listing",
    "unique_names",
]

#: Types that can be declared for a column of a text table, and their kinds.
TYPES = {"number": "number", "boolean": "boolean", "text": "string"}

#: As a categorical pattern: all string columns among the features.
AUTO = "auto"

_DEFAULT_LABEL = "label"
_INDEX = re.compile(r"^-?\d+$")
_SHOWN = 12


def listing(columns: Sequence[str]) -> str:
    """Return the first column names as readable text."""
    shown = ", ".join(columns[:_SHOWN])
    return shown + (f", … ({len(columns)} in all)" if len(columns) > _SHOWN else "")


def check_names(names: Sequence[str], where: str) -> None:
    """Raise when two columns have the same name; Spark ignores case.

    Raises
    ------
    DataError
        ``duplicate_columns``; ``column_name`` for a name that Spark cannot address.
    """
    strange = [name for name in names if "`" in name]
    if strange:
        raise DataError(
            "column_name",
            f"{where} has a backtick in the column name {strange[0]!r}.",
            "Rename the column.",
        )
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    twice = [" and ".join(map(repr, group)) for group in alike.values() if len(group) > 1]
    if twice:
        raise DataError(
            "duplicate_columns",
            f"{where} has duplicate column names: {'; '.join(twice)}.",
            "Give every column a name of its own.",
        )


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names: a duplicate of an earlier name gets a number in parentheses."""
    seen: set[str] = set()
    found = []
    for name in names:
        tried = (name if i == 1 else f"{name} ({i})" for i in count(1))
        found.append(next(n for n in tried if n.casefold() not in seen))
        seen.add(found[-1].casefold())
    return tuple(found)


def find_column(wanted: str | int, columns: Sequence[str], role: str, where: str) -> str:
    """Return the column with a name or an index (from 0; from the end if negative).

    Parameters
    ----------
    wanted : str or int
        A name, or an index; digits in a string are an index unless a column has that name.
    columns : sequence of str
        All columns, in order.
    role : str
        Role of the column, for messages, e.g. ``"label"``.
    where : str
        Name of the table, for messages.

    Returns
    -------
    str
        Name of the column.

    Raises
    ------
    DataError
        ``column_not_found``, with the nearest name.
    """
    if isinstance(wanted, str) and wanted in columns:
        return wanted
    if isinstance(wanted, int) or _INDEX.match(wanted):
        index = int(wanted)
        if -len(columns) <= index < len(columns):
            return columns[index]
        raise DataError(
            "column_not_found",
            f"{role} must be a column of {where}, which has {len(columns)} columns. "
            f"Got index {index}.",
            f"Indices run from 0 to {len(columns) - 1}; -1 is the last column.",
        )
    raise DataError(
        "column_not_found",
        f"{where} has no column {wanted!r} for {role}.{nearest(wanted, columns)}",
        f"Columns are: {listing(columns)}.",
    )


@dataclass(frozen=True)
class Roles:
    """The user's choice of a table's column roles.

    Attributes
    ----------
    label : str, int or None
        Name or index of the label; ``"label"`` when None.
    features : tuple of (str or int), or None
        Names, indices or shell patterns; all columns but the label when None.
    categorical : tuple of (str or int)
        Names, indices, patterns, or ``"auto"`` for all features that hold strings.
    unlabelled : bool
        Whether the label may be missing.
    without_roles : bool
        Whether columns have no roles: there is no label, and names may be arbitrary and duplicate.
    """

    label: str | int | None = None
    features: tuple[str | int, ...] | None = None
    categorical: tuple[str | int, ...] = ()
    unlabelled: bool = False
    without_roles: bool = False

    @property
    def label_name(self) -> str:
        """The label's name, or its index as a string."""
        return _DEFAULT_LABEL if self.label is None else str(self.label)

    def given(self) -> bool:
        """Tell whether any role was chosen."""
        return self != Roles(unlabelled=self.unlabelled)

    def assign(self, found: TableSchema, where: str) -> TableSchema:
        """Return the schema `found` with label, features and categories filled in.

        Parameters
        ----------
        found : TableSchema
            Columns and kinds.
        where : str
            Name of the table, for messages.

        Raises
        ------
        DataError
            ``label_not_given``, ``column_not_found``; ``no_features`` when the label is the only
            column.
        ConfigurationError
            ``column_twice``, ``categorical_not_feature``.
        """
        if self.without_roles:
            return replace(found, label="", features=found.columns)
        label = self._find_label(found, where)
        features = self._find_features(found, label, where)
        codes: set[str] = set()
        patterns = list(self.categorical)
        if AUTO in patterns and AUTO not in found.columns:
            patterns.remove(AUTO)
            codes = {name for name in features if found.kind(name) == "string"}
        named = _names(patterns, found.columns, "categorical", where)
        there, used = {*found.columns}, {*features}
        stray = [name for name in named if name in there and name not in used]
        if stray:
            raise ConfigurationError(
                "categorical_not_feature",
                f"The categorical column {stray[0]!r} is not among the features of {where}.",
                "Add it to the features too, and do not list the label.",
            )
        codes.update(match_columns("categorical", named, found.columns))
        categorical = tuple(name for name in features if name in codes)
        return replace(found, label=label, features=features, categorical=categorical)

    def _find_label(self, found: TableSchema, where: str) -> str:
        if self.label is None and _DEFAULT_LABEL not in found.columns:
            if self.unlabelled:
                return ""
            raise DataError(
                "label_not_given",
                f"{where} has no column {_DEFAULT_LABEL!r}, and no label column was given.",
                f"Set label (--label). Columns are: {listing(found.columns)}.",
            )
        wanted = _DEFAULT_LABEL if self.label is None else self.label
        try:
            return find_column(wanted, found.columns, "label", where)
        except DataError as error:
            if found.header is False:
                error.hint += " The file was read without a header; set --header if it has one."
            raise

    def _find_features(self, found: TableSchema, label: str, where: str) -> tuple[str, ...]:
        chosen = list(found.columns)
        if self.features is not None:
            named = _names(self.features, found.columns, "features", where)
            if label in named:
                raise ConfigurationError(
                    "column_twice", f"{label!r} must not be both label and feature of {where}."
                )
            chosen = match_columns("features", named, found.columns)
        features = tuple(name for name in chosen if name != label)
        if not features:
            raise DataError(
                "no_features",
                f"{where} has no feature column besides the label {label!r}.",
                "Check the delimiter, the label and the feature patterns.",
            )
        return features


def declared_kinds(
    types: Mapping[str | int, str], columns: Sequence[str], where: str
) -> dict[str, str]:
    """Return the kinds of columns with declared types.

    Parameters
    ----------
    types : mapping of (str or int) to str
        Names, indices or shell patterns to one of `TYPES`; later entries win.
    columns : sequence of str
    where : str
        Name of the table, for messages.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    DataError
        ``column_not_found``.
    """
    kinds = {}
    for wanted, declared in types.items():
        if declared not in TYPES:
            raise ConfigurationError(
                "invalid_param",
                f"The type of {wanted!r} must be one of {', '.join(TYPES)}. Got {declared!r}."
                f"{nearest(str(declared), TYPES)}",
            )
        named = _names([wanted], columns, "types", where)
        for name in match_columns("types", named, columns):
            kinds[name] = TYPES[declared]
    return kinds


def check_same_roles(
    columns: Sequence[str], schema: TableSchema, label_optional: bool, where: str
) -> str:
    """Check that another file has the features of the first file; return its label column.

    Parameters
    ----------
    columns : sequence of str
        Columns of the other file.
    schema : TableSchema
        Schema of the first file.
    label_optional : bool
        Whether the label may be missing.
    where : str
        Name of the other file, for messages.

    Returns
    -------
    str
        The label column; empty when it is missing.

    Raises
    ------
    DataError
        ``column_not_found``.
    """
    there = {*columns}
    for name in schema.features:
        if name not in there:
            raise DataError(
                "column_not_found",
                f"{where} lacks the feature column {name!r} of the training data."
                f"{nearest(name, columns)}",
                f"Columns are: {listing(columns)}.",
            )
    if not schema.label or schema.label in columns:
        return schema.label
    if label_optional:
        return ""
    return find_column(schema.label, columns, "label", where)


def _names(wanted: Iterable[str | int], columns: Sequence[str], role: str, where: str) -> list[str]:
    """Replace indices by names; names and patterns stay."""
    return [
        find_column(w, columns, role, where) if isinstance(w, int) or _INDEX.match(w) else w
        for w in wanted
    ]
