"""Visits all objects that a learner consists of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

__all__ = ["parts_of"]

_PLAIN = frozenset({str, int, float, bool, complex, bytes, bytearray, slice, type, type(None)})


def parts_of(learner: Any) -> Iterator[Any]:
    """Yield every object below a learner once, itself first, except plain values.

    Parameters
    ----------
    learner : object
        Followed through lists, mappings, object arrays and attributes, at any depth.
    """
    seen: set[int] = set()
    stack = [learner]
    while stack:
        part = stack.pop()
        kind = type(part)
        if kind in _PLAIN or id(part) in seen:
            continue
        seen.add(id(part))
        if kind is dict:
            stack.extend(part.values())
        elif kind is list or kind is tuple or kind is set:
            stack.extend(part)
        elif kind is np.ndarray:
            if part.dtype.hasobject:
                stack.extend(part.ravel().tolist())
        elif kind is partial:
            stack.extend((part.func, part.args, part.keywords))
        else:
            yield part
            if isinstance(part, dict):
                stack.extend(part.values())
            elif isinstance(part, list | tuple | set | frozenset):
                stack.extend(part)
            stack.extend(getattr(part, "__dict__", {}).values())
