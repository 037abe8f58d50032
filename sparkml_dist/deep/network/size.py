"""Checks the memory that a network's configuration needs, before it is allocated."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

__all__ = ["check_network_size"]

_ROOM = 16 << 20
_checked: dict[str, int] = {}
_MOST_CHECKED = 1000


def check_network_size(keras: Any, config: dict[str, Any], stored: int) -> None:
    """Raise if a network has many more variables than its file has values.

    A short configuration can declare a layer of terabytes, which Keras allocates before it reads
    the weights. Here the network is first built with variables that have shapes but no values, to
    compute its size; networks with equal configurations, such as an ensemble's, are built so once.

    Parameters
    ----------
    keras : module
    config : dict
        Configuration of a checked file.
    stored : int
        Bytes of the weights in the file.

    Raises
    ------
    ValueError
    """
    text = json.dumps(_uncompiled(config))
    key = hashlib.sha256(text.encode()).hexdigest()
    if key not in _checked:
        if len(_checked) >= _MOST_CHECKED:
            _checked.clear()
        _checked[key] = _variables_bytes(keras, text)
    if _checked[key] > _ROOM + 2 * stored:
        raise ValueError(
            f"it needs {_checked[key]:,} bytes of variables, but has {stored:,} bytes of weights"
        )


def _variables_bytes(keras: Any, config: str) -> int:
    from keras.src.backend.common import global_state

    # Keras keeps variables without values in this list until the next scope ends.
    waiting = list(global_state.get_global_attribute("uninitialized_variables", []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            network = keras.models.model_from_json(config)
            return sum(math.prod(v.shape) * _item_bytes(v.dtype) for v in network.variables)
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)


def _item_bytes(dtype: Any) -> int:
    bits = "".join(c for c in str(dtype) if c.isdigit())
    return max(1, int(bits or 8) // 8)


def _uncompiled(value: Any) -> Any:
    """Return a configuration without optimizers, since their variables are not loaded."""
    if isinstance(value, dict):
        return {k: _uncompiled(v) for k, v in value.items() if k != "compile_config"}
    return [_uncompiled(v) for v in value] if isinstance(value, list) else value
