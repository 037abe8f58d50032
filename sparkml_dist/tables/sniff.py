"""Infers the dialect of a text table from its first lines: delimiter, header, comments."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.tables.quotes import DOUBLED, ESCAPED, whole
from sparkml_dist.tables.schema import MISSING_VALUES

__all__ = ["BLANKS", "Dialect", "is_number", "sniff", "split_blanks", "split_lines"]

#: The delimiter that stands for any run of blanks.
BLANKS = " "

COMMENT = "#"

# When several give equally long rows, the first wins: a decimal comma must not win over a semicolon
# between fields.
_DELIMITERS = ("\t", ";", "|", ",")
_NUMBER = re.compile(
    r"^[+-]?(?:(?:\d+(?:[.]\d*)?|[.]\d+)(?:[eE][+-]?\d+)?|inf|infinity)$", re.IGNORECASE
)
_QUOTED_OR_NOT = re.compile(r'"((?:[^"]|"")*)"|(\S+)')


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes
    ----------
    delimiter : str
        One character; `BLANKS` for any run of blanks.
    header : tuple of str or None
        The fields of the line of names; None when there is no such line.
    first_line : str
        The first line that is not a comment, unchanged.
    width : int
        Number of fields in a row.
    comment : str
        First character of comments; empty for none.
    header_reason : str
        Reason for the decision about the header, for the log.
    """

    delimiter: str
    header: tuple[str, ...] | None = None
    first_line: str = ""
    width: int = 0
    comment: str = ""
    header_reason: str = ""


def is_number(text: str, decimal: str = ".") -> bool:
    """Tell whether `text` is a decimal number (or infinity); ``1_000``, ``1d``, ``nan`` are not."""
    return bool(_NUMBER.match(text.replace(decimal, ".") if decimal != "." else text))


def split_blanks(line: str) -> list[str]:
    """Split a line at runs of blanks, keeping quoted fields whole."""
    if '"' not in line:
        return line.split()
    return [
        quoted.replace('""', '"') if quoted or not bare else bare
        for quoted, bare in _QUOTED_OR_NOT.findall(line)
    ]


def split_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split lines into rows of trimmed, unquoted fields, without empty lines."""
    if delimiter == BLANKS:
        rows = [split_blanks(line) for line in lines]
    else:
        text = (f"{line}\n" for line in lines)
        escape = "\\" if any(_is_escaped(line, delimiter) for line in lines) else None
        limit = csv.field_size_limit(2**31 - 1)
        try:
            rows = list(
                csv.reader(text, delimiter=delimiter, skipinitialspace=True, escapechar=escape)
            )
        finally:
            csv.field_size_limit(limit)
    return [[field.strip() for field in row] for row in rows if any(f.strip() for f in row)]


def _is_escaped(line: str, delimiter: str) -> bool:
    """Tell whether a line is complete only if backslashes escape quotes."""
    return (
        '\\"' in line
        and re.search(whole(ESCAPED, delimiter), line) is not None
        and re.search(whole(DOUBLED, delimiter), line) is None
    )


def sniff(
    lines: Sequence[str],
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    missing: Collection[str] = MISSING_VALUES,
    known_names: Collection[str] = (),
    likely: str = "",
    comment: str | None = None,
) -> Dialect:
    """Infer the dialect of a text table from its first lines.

    Parameters
    ----------
    lines : sequence of str
        First lines of the file; at least one has a field.
    header : bool, optional
        Whether the first line holds names; inferred by default (see Notes).
    delimiter : str, optional
        Field separator; inferred by default among tab, ``;``, ``|``, ``,`` and blanks.
    missing : collection of str
        Fields that mark missing values.
    known_names : collection of str
        Names to expect in a header (label, training columns).
    likely : str, default=""
        Delimiter to prefer when several are possible.
    comment : str, optional
        First character of comments; empty for none. By default, lines before the first row that
        begin with ``#`` are comments unless they have as many fields as a row.

    Returns
    -------
    Dialect

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    DataError
        ``empty_data`` when the lines have only delimiters.

    Notes
    -----
    The first line is a header when it has half of the known names, or when it has no number while
    some columns below it are numeric. In a table without numbers it is one when its fields never
    occur again in their columns, and when no line follows.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r'):
        raise ConfigurationError(
            "invalid_param", f"delimiter must be one character. Got {delimiter!r}."
        )
    lines = [line for line in lines if line.strip()]
    if comment:
        lines = [line for line in lines if not line.startswith(comment)] or lines
    start = next((i for i, x in enumerate(lines) if not x.startswith(COMMENT)), 0)
    if comment is not None:
        start = 0
    if delimiter is None:
        delimiter = _sniff_delimiter(lines[start:], likely)
    rows = split_lines(lines[start:], delimiter)
    if not rows:
        raise DataError(
            "empty_data",
            f"The first lines have only delimiters and blanks: {lines[start : start + 3]}.",
            "Check the file and the delimiter (--delimiter).",
        )
    if comment is None and start:
        width = _usual_width(rows)
        # A line with as many fields is a row (#ff0000, …) or the names (#chromosome, begin, …).
        fields = [len(row) for row in split_lines(lines[:start], delimiter)]
        start = next((i for i, n in enumerate(fields) if n == width > 1), start)
        comment = COMMENT if start else ""
        rows = split_lines(lines[start:], delimiter)
    if _quotes_run_over(lines) and len(rows) > 1:
        rows.pop()  # may end within a quoted value
    header_reason = "given"
    if header is None:
        header, header_reason = _sniff_header(rows, missing, known_names)
    return Dialect(
        delimiter,
        header=tuple(rows[0]) if header else None,
        first_line=lines[start],
        width=len(rows[0]) if header else _usual_width(rows),
        comment=comment or "",
        header_reason=header_reason,
    )


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    return Counter(len(row) for row in rows).most_common(1)[0][0]


def _quotes_run_over(lines: Sequence[str]) -> bool:
    """Tell whether a quoted value continues over the end of a line."""
    odd = sum(line.count('"') % 2 for line in lines)
    return odd >= 2


def _sniff_delimiter(lines: Sequence[str], likely: str) -> str:
    best, best_share = likely or ",", 0.0
    for candidate in (*likely, *_DELIMITERS, BLANKS):
        widths = Counter(len(row) for row in split_lines(lines, candidate))
        if not widths:  # only delimiters
            continue
        width, rows = widths.most_common(1)[0]
        share = rows / sum(widths.values())
        if width > 1 and share > best_share:
            # Blanks inside values give rows of different lengths: require equal ones.
            if candidate == BLANKS and (share < 1 or best_share > 0.5):
                continue
            best, best_share = candidate, share
    return best


def _reads_as_number(text: str) -> bool:
    return is_number(text) or is_number(text, ",")


def _sniff_header(
    rows: Sequence[Sequence[str]],
    missing: Collection[str],
    known_names: Collection[str],
) -> tuple[bool, str]:
    first, width = rows[0], _usual_width(rows)
    rest = [row for row in rows[1:] if len(row) == width]
    named = [name for name in first if name in known_names and not is_number(name)]
    if named and 2 * len(named) >= len(known_names):
        return True, f"the first line names {named[0]!r}"
    if any(_reads_as_number(field) for field in first):
        return False, "the first line holds numbers"
    if not rest:
        names = len(set(first)) == len(first) > 1 and not any(f in missing for f in first)
        # Known names would have been found above: this is a row.
        if names and len(known_names) < len(first):
            return True, "the only line holds no number"
        return False, "there is one line only"
    columns = [
        [value for value in column if value not in missing] for column in zip(*rest, strict=True)
    ]
    if any(2 * sum(_reads_as_number(v) for v in values) > len(values) for values in columns):
        return True, "the first line holds no number, the lines below do"
    repeated = any(name in values for name, values in zip(first, columns, strict=False))
    if not repeated and any(len(v) >= 5 and len(set(v)) <= len(v) / 2 for v in columns):
        return True, "the fields of the first line never appear again below"
    return False, "the first line looks like the others"
