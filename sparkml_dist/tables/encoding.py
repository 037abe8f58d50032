"""Decodes text files: declared encodings, and bytes that are not UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import literal
from sparkml_dist.errors import ConfigurationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "BYTES",
    "check_encoding",
    "decode",
    "decode_sql",
    "decoded",
    "is_wide",
    "lines",
    "literal_path",
    "spark_encoding",
    "text_of_line",
]

#: In this encoding every byte is a character, so that any bytes can be read and decoded later.
BYTES = "ISO-8859-1"

# The most likely encoding of bytes that are not UTF-8: Latin-1 with the quotes and euro of Windows.
_LIKELY = "cp1252"
_WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32")
_NAMES = {"utf-16": "UTF-16", "utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE", "utf-32": "UTF-32"}


def check_encoding(encoding: str | None) -> str | None:
    """Return Python's name of a declared encoding; None for UTF-8, the default.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` when it is unknown, or neither UTF-8, -16 or -32 nor of one byte for
        each character.
    """
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
        if name in ("utf-8", "utf-8-sig", "ascii"):
            return None
        if name in _WIDE or (_table(name)[ord("A")] == "A" and len(_table(name)) == 256):
            return name
    except (LookupError, UnicodeError, ValueError):
        pass
    raise ConfigurationError(
        "invalid_param",
        f"encoding must be UTF-8, UTF-16, UTF-32 or an encoding of one byte per character. "
        f"Got {encoding!r}.",
        "Use one such as windows-1252, iso-8859-15 or koi8-r; convert other files to UTF-8.",
    )


def is_wide(encoding: str | None) -> bool:
    """Tell whether characters take several bytes, so that bytes cannot be split into lines."""
    return encoding in _WIDE


def spark_encoding(encoding: str | None, *, valid: bool) -> str:
    """Return the encoding for Spark's reader; text read as `BYTES` is decoded by `decode_sql`."""
    if encoding is None:
        return "UTF-8" if valid else BYTES
    return _NAMES.get(encoding, BYTES)


def _table(encoding: str) -> str:
    """Return the characters of all 256 bytes."""
    text = bytes(range(256)).decode(encoding, errors="replace")
    return "".join(chr(i) if c == "\ufffd" else c for i, c in enumerate(text))


def decode_sql(column: str, encoding: str | None) -> str:
    """Return SQL that decodes text which Spark read as `BYTES`.

    Parameters
    ----------
    column : str
        SQL.
    encoding : str or None
        The value of `check_encoding`. None: each value is UTF-8 if it is valid UTF-8, else
        windows-1252.
    """
    table = _table(encoding or _LIKELY)
    changed = [i for i in range(256) if table[i] != chr(i)]
    there = literal("".join(map(chr, changed)))
    here = literal("".join(table[i] for i in changed))
    single = f"translate({column}, {there}, {here})"
    if encoding is not None:
        return single
    utf8 = f"CAST(encode({column}, '{BYTES}') AS string)"
    return (
        f"CASE WHEN octet_length({column}) = char_length({column}) THEN {column} "
        f"WHEN is_valid_utf8({utf8}) THEN {utf8} ELSE {single} END"
    )


def text_of_line(encoding: str | None) -> str:
    """Return SQL for the text in the column ``value`` of `lines`."""
    if is_wide(encoding):
        return "value"
    text = decode_sql(f"decode(CAST(value AS binary), '{BYTES}')", encoding)
    return text if encoding else f"CASE WHEN is_valid_utf8(value) THEN value ELSE {text} END"


def decoded(value: bytes, encoding: str | None) -> str:
    """Return one line, decoded like `decode_sql`."""
    if is_wide(encoding):
        return bytes(value).decode()
    if encoding is not None:
        return bytes(value).decode("latin-1").translate(dict(enumerate(_table(encoding))))
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return decoded(value, _LIKELY)


def literal_path(path: str) -> str:
    """Return a path with Hadoop's pattern characters escaped."""
    return "".join("\\" + c if c in "\\*?[]{}" else c for c in path)


def lines(spark: SparkSession, uri: str | list[str], encoding: str | None = None) -> DataFrame:
    """Return the lines of text files lazily: ``value``, ``file`` and ``start``.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    uri : str or list of str
        File, folder of files, or pattern; compressed files are recognised by their suffix.
    encoding : str or None
        The value of `check_encoding`. The bytes of lines are unchanged, except in UTF-16 and
        UTF-32.

    Returns
    -------
    pyspark.sql.DataFrame
        ``start`` is the position of the line's block in the file. Columns in folder names
        (``region=1``) follow.
    """
    reader = spark.read
    if is_wide(encoding):
        df = reader.schema("value string").csv(
            uri,
            encoding=spark_encoding(encoding, valid=True),
            sep="\x01",
            quote="",
            multiLine=True,
        )
    else:
        df = reader.text(uri)
    return df.selectExpr("*", "_metadata.file_path AS file", "_metadata.file_block_start AS start")


def decode(values: Sequence[bytes | None]) -> str:
    """Join raw lines into one text: UTF-8, or Latin-1 if they are not valid UTF-8."""
    joined = b"\n".join(value or b"" for value in values)
    try:
        return joined.decode("utf-8")
    except UnicodeDecodeError:
        return joined.decode("latin-1")
