"""Reads UBJSON, the binary form of JSON in which XGBoost writes its models."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["read_ubjson"]

_DEEPEST = 24
_NUMBERS = {
    b"i": ">i1",
    b"U": ">u1",
    b"I": ">i2",
    b"l": ">i4",
    b"L": ">i8",
    b"d": ">f4",
    b"D": ">f8",
}
_WHOLE = b"iUIlL"
_CONSTANTS = {b"T": True, b"F": False, b"Z": None}


def read_ubjson(content: bytes) -> Any:
    """Return the value in `content`.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    object
        Mappings as dict, arrays of one type as ndarray, other arrays as list.

    Raises
    ------
    ValueError
        The content is no UBJSON, has bytes beyond its value, a key twice, an array longer than the
        content, or too many levels.
    """
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise ValueError("the model has bytes beyond its end")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self._content):
            raise ValueError("the model is truncated")
        found = self._content[self.at : end]
        self.at = end
        return found

    def value(self, kind: bytes, level: int) -> Any:
        if level > _DEEPEST:
            raise ValueError(f"the model is nested more than {_DEEPEST} levels deep")
        if kind in _NUMBERS:
            form = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self.take(form.itemsize), form)[0].item()
        if kind == b"S":
            return self._text()
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind == b"[":
            return self._array(level)
        if kind == b"{":
            return self._mapping(level)
        raise ValueError(f"the model holds a value of the unknown type {kind!r}")

    def _length(self, kind: bytes) -> int:
        if kind not in _WHOLE:
            raise ValueError("the model holds a length that is not a whole number")
        return int(self.value(kind, 0))

    def _text(self) -> str:
        return self.take(self._length(self.take(1))).decode()

    def _array(self, level: int) -> Any:
        kind = self.take(1)
        if kind == b"$":
            form = self.take(1)
            if form not in _NUMBERS or self.take(1) != b"#":
                raise ValueError("the model holds an array of an unknown form")
            dtype = np.dtype(_NUMBERS[form])
            count = self._length(self.take(1))
            values = np.frombuffer(self.take(count * dtype.itemsize), dtype)
            return values.astype(dtype.newbyteorder("="))
        if kind == b"#":
            count = self._length(self.take(1))
            if not 0 <= count <= len(self._content) - self.at:
                raise ValueError("the model is truncated")
            return [self.value(self.take(1), level + 1) for _ in range(count)]
        items = []
        while kind != b"]":
            items.append(self.value(kind, level + 1))
            kind = self.take(1)
        return items

    def _mapping(self, level: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (kind := self.take(1)) != b"}":
            key = self.take(self._length(kind)).decode()
            if key in found:
                raise ValueError(f"the model has the key {key!r} twice")
            found[key] = self.value(self.take(1), level + 1)
        return found
