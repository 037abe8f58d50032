"""Checks the types of fields of JSON documents."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["checksum", "items", "mapping", "natural", "one_of", "text", "whole"]

_MOST = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


def natural(value: Any, name: str, most: int = _MOST) -> int:
    """Return an integer from 0 to `most`.

    Raises
    ------
    TypeError
        As for all functions here; readers of documents convert it to an error with the location.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise TypeError(f"{name} must be an integer from 0 to {most}. Got {_shown(value)}")
    return value


def whole(value: Any, name: str) -> int:
    """Return an integer."""
    if type(value) is not int:
        raise TypeError(f"{name} must be an integer. Got {_shown(value)}")
    return value


def text(value: Any, name: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text. Got {_shown(value)}")
    return value


def one_of(value: Any, name: str, known: tuple[Any, ...]) -> Any:
    """Return one of the known values."""
    if not isinstance(value, str) or value not in known:
        raise TypeError(f"{name} must be one of {', '.join(known)}. Got {_shown(value)}")
    return value


def checksum(value: Any, name: str) -> str:
    """Return a SHA-256 checksum in hexadecimal digits."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise TypeError(f"{name} must be a SHA-256 checksum. Got {_shown(value)}")
    return value


def items(value: Any, name: str) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        raise TypeError(f"{name} must be a list. Got {_shown(value)}")
    return value


def mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a mapping."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a mapping. Got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
