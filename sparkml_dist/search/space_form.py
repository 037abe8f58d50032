"""The space of a search as JSON: for a plan, and for saving."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

__all__ = ["described"]


def described(space: Any) -> Any:
    """Return JSON values that are equal for equal spaces.

    Distributions are described by name and arguments, functions by their source.
    """
    if isinstance(space, Mapping):
        return {str(k): described(v) for k, v in space.items()}
    if isinstance(space, str | bytes):
        return repr(space)
    if hasattr(space, "dist") and hasattr(space, "kwds"):  # a frozen distribution of SciPy's
        arguments = [repr(a) for a in space.args]
        named = {k: repr(v) for k, v in sorted(space.kwds.items())}
        return {"distribution": space.dist.name, "args": arguments, "kwds": named}
    if callable(space) and not hasattr(space, "get_params"):
        name = getattr(space, "__qualname__", type(space).__name__)
        try:
            source = inspect.getsource(space)
        except (OSError, TypeError):
            source = name
        return f"{name}/{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if isinstance(space, list | tuple | range) or type(space).__module__ == "numpy":
        try:
            return [described(v) for v in space]
        except TypeError:
            return repr(space)
    return repr(space)
