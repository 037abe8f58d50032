"""Derives a pattern for all rows of a text table from its first lines."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from sparkml_dist.tables.quotes import DOUBLED
from sparkml_dist.tables.sniff import BLANKS, Dialect, is_number, split_lines

__all__ = ["END", "PLAIN", "Shape", "shape_of"]

#: Matches only the end of a text; ``$`` also matches before a final newline.
END = r"(?![\s\S])"

_POWER = "(?:[eE](?:-[0-9]++|[+]?+[0-9]{1,2}+))?+"


def _number(digits: int) -> str:
    return rf" *+[+-]?+(?:[0-9]{{1,{digits}}}+(?:[.][0-9]*+)?+|[.][0-9]++){_POWER} *+"


#: A finite number, in the syntax that Java and this library share.
PLAIN = _number(200)

_WHOLE = r" *+[+-]?+[0-9]{1,18}+(?:[.]0*+)?+ *+"
# A label with longer integers may be text; see `_label_kind` of `delimited`.
_SHORT = _number(15)
# Most alternations between numbers and words in a line: each needs stack of the matcher.
_RUNS = 64


@dataclass(frozen=True)
class Shape:
    """The pattern of lines whose fields have the same kinds as those of the first lines.

    Attributes
    ----------
    pattern : str
        A regular expression that is valid in both Java and Python.
    numbers : frozenset of int
        Positions of fields that are finite numbers, or empty, in such a line.
    whole : bool
        Whether the label is one of these fields, with 64-bit integers.
    """

    pattern: str
    numbers: frozenset[int]
    whole: bool


def shape_of(
    lines: Sequence[str], dialect: Dialect, label: int | None, others: Collection[int]
) -> Shape | None:
    """Derive the shape of a table from its first lines.

    Parameters
    ----------
    lines : sequence of str
        The first lines of a file.
    dialect : Dialect
    label : int or None
        Position of the label.
    others : collection of int
        Positions of fields that must not count as numbers.

    Returns
    -------
    Shape or None
        None if the lines fit no pattern, or no field is a number.
    """
    mark = dialect.delimiter
    if mark == BLANKS or mark in '.+-"' or mark.isalnum():
        return None
    # The first line that is not a comment is the header, if there is one.
    lines = [
        x for x in lines if x.strip() and not (dialect.comment and x.startswith(dialect.comment))
    ]
    if dialect.header is not None:
        lines = [x for x in lines if x.strip(" ") != dialect.first_line.strip(" ")]
    rows = [row for row in split_lines(lines, mark) if len(row) == dialect.width]
    columns = [[v for v in column if v] for column in zip(*rows, strict=True)]
    word = f'(?:{DOUBLED}"|[^"{re.escape(mark)}]*+)'
    fields, numbers, whole = [], set(), False
    for i, values in enumerate(columns):
        kinds = [_WHOLE, _SHORT] if i == label else [PLAIN]
        found = next((kind for kind in kinds if _all_match(kind, values)), None)
        if found is None or i in others:
            # With decimal commas the kinds of other columns may change.
            if any(is_number(v, ",") and not is_number(v) for v in values):
                return None
            fields.append(word)
            continue
        numbers.add(i)
        whole |= found == _WHOLE
        fields.append(f'(?:{found}|"(?:{found})?+")?+')
    runs = [(field, len([*same])) for field, same in groupby(fields[1:])]
    if not numbers or len(runs) > _RUNS:
        return None
    rest = "".join(f"(?:{re.escape(mark)}{field}){{{n}}}+" for field, n in runs)
    pattern = f"^{fields[0]}{rest}{END}"
    return Shape(pattern, frozenset(numbers), whole) if _all_match(pattern, lines) else None


def _all_match(pattern: str, texts: Sequence[str]) -> bool:
    return all(map(re.compile(pattern + END).match, texts))
