"""Reads FlatBuffers, in which CatBoost writes its models, with bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Table", "root_table"]


def root_table(content: bytes) -> Table:
    """Return the root table of a buffer; raises ValueError where it lies outside."""
    return Table(content, _number(content, 0, "<u4"))


class Table:
    """A table of a buffer.

    Fields are numbered as in the schema. Every access raises ValueError where it would leave the
    buffer.

    Parameters
    ----------
    content : bytes
    at : int
    """

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at
        fields = at - _number(content, at, "<i4")
        self._offsets = _array(
            content, fields + 4, (_number(content, fields, "<u2") - 4) // 2, "<u2"
        )
        self._size = _number(content, fields + 2, "<u2")
        if at + self._size > len(content):
            raise ValueError("a table lies outside the model")

    def _place(self, field: int) -> int | None:
        offset = int(self._offsets[field]) if field < len(self._offsets) else 0
        if offset >= max(self._size, 1):
            raise ValueError("a field lies outside its table")
        return self._at + offset if offset else None

    def number(self, field: int, form: str, default: float = 0) -> Any:
        """Return a number of a numpy type, or its default."""
        at = self._place(field)
        return default if at is None else _number(self._content, at, form)

    def _target(self, field: int) -> int | None:
        at = self._place(field)
        return None if at is None else at + _number(self._content, at, "<u4")

    def table(self, field: int) -> Table | None:
        """Return a table, or None."""
        at = self._target(field)
        return None if at is None else Table(self._content, at)

    def values(self, field: int, form: Any) -> npt.NDArray[Any]:
        """Return a vector of numbers or structs of a numpy type; empty where it is missing."""
        at = self._target(field)
        if at is None:
            return np.empty(0, form)
        return _array(self._content, at + 4, _number(self._content, at, "<u4"), form)

    def tables(self, field: int) -> list[Table]:
        """Return a vector of tables."""
        at = self._target(field)
        offsets = self.values(field, "<u4").tolist()
        return [Table(self._content, int(at or 0) + 4 + 4 * i + o) for i, o in enumerate(offsets)]

    def text(self, field: int) -> str:
        """Return a string."""
        return self.values(field, "u1").tobytes().decode()

    def texts(self, field: int) -> list[str]:
        """Return a vector of strings."""
        at = self._target(field)
        found = []
        for i, offset in enumerate(self.values(field, "<u4").tolist()):
            place = int(at or 0) + 4 + 4 * i + offset
            size = _number(self._content, place, "<u4")
            found.append(_array(self._content, place + 4, size, "u1").tobytes().decode())
        return found


def _number(content: bytes, at: int, form: str) -> Any:
    return _array(content, at, 1, form)[0].item()


def _array(content: bytes, at: int, count: int, form: Any) -> npt.NDArray[Any]:
    if at < 0 or count < 0 or at + count * np.dtype(form).itemsize > len(content):
        raise ValueError("the model refers to bytes that it does not have")
    return np.frombuffer(content, form, count, at)
