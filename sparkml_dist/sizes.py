"""Sizes of memory as people write them."""

from __future__ import annotations

import math
import re

from sparkml_dist.errors import ConfigurationError

__all__ = ["parse_size"]

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$", re.IGNORECASE)


def parse_size(size: int | str, name: str = "memory_per_task") -> int:
    """Return a size such as ``"512m"``, ``"1.5g"`` or ``1048576`` in bytes.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` for a size that is not positive.
    """
    if isinstance(size, str) and (found := _SIZE.match(size)):
        value = float(found.group(1)) * _UNITS[found.group(2).lower()]
    elif isinstance(size, int | float) and not isinstance(size, bool):
        value = float(size)
    else:
        value = -1.0
    if not (value >= 1 and math.isfinite(value)):
        raise ConfigurationError(
            "invalid_param",
            f"{name} must be a positive number of bytes or a size like '512m' or '2g'. "
            f"Got {size!r}.",
        )
    return int(value)
