"""Messages between a coordinator and its silos: JSON and plain numeric arrays, never code."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import TrainingError

__all__ = ["ARRAY_TYPES", "MOST_BYTES", "Message", "damaged"]

_MAGIC = b"SMLFED1\n"
_HEAD = struct.Struct("<Q")
_DIGEST_BYTES = 32
_MOST_DIMENSIONS = 8
#: Types that arrays of a message may have, little endian.
ARRAY_TYPES = ("f4", "f8", "i4", "i8", "u1", "u4", "u8", "b1")
#: Size of a message that nobody has set a lower limit for.
MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Message:
    """One request or answer.

    Attributes
    ----------
    kind : str
        Which work is asked for.
    round : int
        Number of the round, from 0.
    sender : str
        Name of the silo, or ``"coordinator"``.
    facts : mapping of str to JSON values
    arrays : mapping of str to ndarray
        Of the types in `ARRAY_TYPES`.
    run : str
        Identifies the federation's run: round 3 of one run is not round 3 of another.
    """

    kind: str
    round: int
    sender: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    run: str = ""

    def pack(self) -> bytes:
        """Return the message as bytes: a head in JSON, the arrays, and their SHA-256.

        Raises
        ------
        TrainingError
            ``message_damaged`` when an array has another type, or a fact is not JSON.
        """
        described, parts = [], []
        for name, value in self.arrays.items():
            array = np.ascontiguousarray(value)
            # ascontiguousarray makes an array of one element out of a scalar.
            array = array.reshape(np.shape(value))
            code = array.dtype.str[1:]
            if code not in ARRAY_TYPES:
                raise damaged(f"the array {name!r} has the type {array.dtype}")
            described.append([str(name), code, list(array.shape)])
            parts.append(array.astype(f"<{code}", copy=False).tobytes())
        head = {
            "kind": self.kind,
            "round": self.round,
            "sender": self.sender,
            "run": self.run,
            "facts": dict(self.facts),
            "arrays": described,
        }
        try:
            text = json.dumps(head, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise damaged(f"its facts are not JSON ({error})") from error
        body = b"".join([_MAGIC, _HEAD.pack(len(text)), text, *parts])
        return body + hashlib.sha256(body).digest()

    @classmethod
    def unpack(cls, data: bytes, limit: int = MOST_BYTES) -> Message:
        """Return the message in `data`, after all its sizes and its checksum were checked.

        Parameters
        ----------
        data : bytes
        limit : int
            Most bytes that it may have.

        Raises
        ------
        TrainingError
            ``message_damaged``.
        """
        start = len(_MAGIC) + _HEAD.size
        if len(data) > limit:
            raise damaged(f"it has {len(data):,} bytes, more than the {limit:,} that are allowed")
        if len(data) < start + _DIGEST_BYTES or data[: len(_MAGIC)] != _MAGIC:
            raise damaged("it does not begin as a message does")
        body = memoryview(data)[:-_DIGEST_BYTES]
        if hashlib.sha256(body).digest() != data[-_DIGEST_BYTES:]:
            raise damaged("its content does not match its checksum")
        (length,) = _HEAD.unpack_from(data, len(_MAGIC))
        if length > len(body) - start:
            raise damaged("its head is longer than the message")
        try:
            head = json.loads(bytes(body[start : start + length]), parse_constant=_refuse_constant)
            message = cls(
                _text(head["kind"]),
                _natural(head["round"]),
                _text(head["sender"]),
                _mapping(head["facts"]),
                _arrays(head["arrays"], body[start + length :]),
                _text(head["run"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise damaged(f"its head is wrong ({str(error)[:120]})") from error
        return message


def damaged(why: str) -> TrainingError:
    """Return the error for a message that cannot be sent or read."""
    return TrainingError(
        "message_damaged",
        f"A message of the federation is refused: {why}.",
        "Both sides need the same version of sparkml_dist; otherwise it was damaged or forged.",
    )


def _arrays(described: Any, content: memoryview) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a message, each a copy that may be written."""
    found: dict[str, npt.NDArray[Any]] = {}
    at = 0
    if not isinstance(described, list):
        raise TypeError("arrays must be a list")
    for name, code, shape in described:
        if _text(name) in found or code not in ARRAY_TYPES or not isinstance(shape, list):
            raise ValueError(f"the array {str(name)[:40]!r} is not described well")
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"the array {name!r} has {len(shape)} dimensions")
        sizes = [_natural(size) for size in shape]
        kind = np.dtype(f"<{code}")
        length = math.prod(sizes) * kind.itemsize
        if length > len(content) - at:
            raise ValueError(f"the array {name!r} is longer than the message")
        if code == "b1" and length and np.frombuffer(content[at : at + length], "u1").max() > 1:
            raise ValueError(f"the array {name!r} holds other values than true and false")
        found[name] = np.frombuffer(content[at : at + length], kind).reshape(sizes).copy()
        at += length
    if at != len(content):
        raise ValueError(f"{len(content) - at} bytes belong to no array")
    return found


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value


def _natural(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise TypeError("a number is missing")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("the facts must be a mapping")
    return value
