"""Names of losses; imports no TensorFlow."""

from __future__ import annotations

from typing import Any

__all__ = ["loss_name"]


def loss_name(loss: Any) -> str:
    """Return the name of a loss given as a name, a function or an object, in lower case."""
    if isinstance(loss, str):
        return loss.lower()
    return str(getattr(loss, "__name__", None) or type(loss).__name__).lower()
