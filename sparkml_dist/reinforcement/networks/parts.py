"""The networks of values and policies: fully connected, with standardized states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.deep.network.builders import normalized

__all__ = ["Parts", "bounded"]

Moments = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class Parts:
    """Builds networks that take states, and perhaps actions that are numbers.

    Parameters
    ----------
    width : int
        Features of a state.
    hidden : sequence of int
        Units of the hidden layers.
    moments : tuple of two ndarrays of shape (width,)
        Mean and standard deviation of each feature; a missing value becomes the mean.
    unit : float, default=1.0
        Unit of values: about the size of a return. Networks learn values in this unit, so that
        rewards may have any.
    categories : sequence of int, default=()
        Number of categories of each feature, 0 for numbers; empty where all are numbers. The code
        of a category becomes an indicator of each category and one for missing and unknown ones.
    """

    def __init__(
        self,
        width: int,
        hidden: Sequence[int],
        moments: Moments,
        unit: float = 1.0,
        categories: Sequence[int] = (),
    ) -> None:
        self._categories = tuple(categories)
        self._width, self._hidden, self._moments = width, tuple(hidden), moments
        self.unit = unit

    def of_state(self, name: str, units: int, *, dueling: bool = False) -> Any:
        """Return a network from states (n, width) to outputs (n, units).

        A dueling network adds the value of the state to the advantages of the actions, less their
        mean [1]_.

        References
        ----------
        .. [1] Wang et al. (2016), "Dueling network architectures for deep reinforcement learning",
           ICML.
        """
        state = keras.Input((self._width,), name="state")
        x = self._body(self._standardized(state))
        outputs = keras.layers.Dense(units)(x)
        if dueling:
            mean = keras.ops.mean(outputs, axis=1, keepdims=True)
            outputs = keras.layers.Dense(1)(x) + outputs - mean
        return keras.Model(state, outputs, name=name)

    def of_action(self, name: str, low: Sequence[float], high: Sequence[float]) -> Any:
        """Return a network from states and actions within bounds to values (n, 1)."""
        state = keras.Input((self._width,), name="state")
        action = keras.Input((len(low),), name="action")
        half, centre = _range(low, high)
        unit = keras.layers.Rescaling((1 / half).tolist(), offset=(-centre / half).tolist())
        joined = keras.ops.concatenate([self._standardized(state), unit(action)], axis=1)
        return keras.Model([state, action], keras.layers.Dense(1)(self._body(joined)), name=name)

    def actor(self, name: str, low: Sequence[float], high: Sequence[float]) -> Any:
        """Return a network from states to actions within bounds, shape (n, len(low))."""
        state = keras.Input((self._width,), name="state")
        x = self._body(self._standardized(state))
        half, centre = _range(low, high)
        unit = keras.layers.Dense(len(low), activation="tanh")(x)
        outputs = keras.layers.Rescaling(half.tolist(), offset=centre.tolist())(unit)
        return keras.Model(state, outputs, name=name)

    def _standardized(self, state: Any) -> Any:
        if not any(self._categories):
            return keras.ops.nan_to_num(normalized(state, *self._moments), nan=0.0)
        numbers = [i for i, n in enumerate(self._categories) if not n]
        found = []
        if numbers:
            moments = (np.asarray(m)[numbers] for m in self._moments)
            own = normalized(keras.ops.take(state, numbers, axis=1), *moments)
            found.append(keras.ops.nan_to_num(own, nan=0.0))
        for i, n in enumerate(self._categories):
            if n:
                # 0 is a missing or unknown category, whose code is NaN.
                codes = keras.ops.nan_to_num(keras.ops.take(state, i, axis=1), nan=-1.0)
                codes = keras.ops.cast(keras.ops.clip(codes + 1.0, 0.0, float(n)), "int32")
                found.append(keras.ops.one_hot(codes, n + 1))
        return found[0] if len(found) == 1 else keras.ops.concatenate(found, axis=1)

    def _body(self, x: Any) -> Any:
        for number, units in enumerate(self._hidden):
            x = keras.layers.Dense(units, kernel_initializer="he_uniform")(x)
            # Values of states that the log hardly has grow without bound otherwise. Not in the
            # first layer, where the size of a state would be lost.
            if number:
                x = keras.layers.LayerNormalization()(x)
            x = keras.layers.ReLU()(x)
        return x


def bounded(actions: Any, low: Sequence[float], high: Sequence[float]) -> Any:
    """Return actions, moved into their bounds."""
    return keras.ops.clip(actions, np.asarray(low, np.float32), np.asarray(high, np.float32))


def _range(low: Sequence[float], high: Sequence[float]) -> tuple[Any, Any]:
    """Return half the width and the middle of bounds; a constant action has width 2."""
    lowest, highest = np.asarray(low, np.float64), np.asarray(high, np.float64)
    half = (highest - lowest) / 2
    return np.where(half > 0, half, 1.0), (highest + lowest) / 2
