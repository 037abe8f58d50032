"""Runs a user's Keras callbacks in rank 0, and applies their decisions on all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
from sparkml_dist.deep.network.builder_call import builder_name, call_builder, load_builder
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, TrainingError

__all__ = ["Callbacks"]

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class Callbacks:
    """The callbacks of a training; every rank must make the same calls.

    Only rank 0 has the callbacks. Three of their effects reach all ranks: weights that they set at
    the start of the training, ``model.stop_training``, and the optimizer's learning rate. Other
    changes of weights would make ranks differ, and fail the comparison at the end of the epoch.
    Hooks for batches are not called.

    Parameters
    ----------
    context : RankContext
    pickled : bytes
        Pickle of the function that returns the callbacks.
    model : keras.Model
    epochs, steps : int
        Number of epochs of the training, and of steps of an epoch.
    """

    def __init__(
        self, context: RankContext, pickled: bytes, model: Any, epochs: int, steps: int
    ) -> None:
        self._model = model
        self._epochs = epochs
        self._list: Any = None
        if context.rank != 0:
            return
        offered = {"epochs": epochs, "steps": steps}
        function = load_builder(pickled, "function of callbacks")
        found = call_builder(function, offered, "function of callbacks")
        _check(found, builder_name(function))
        if ignored := sorted({type(c).__name__ for c in found if _has_batch_hooks(c)}):
            context.emit("callbacks_ignored", callbacks=ignored)
        self._list = keras.callbacks.CallbackList(
            list(found), model=model, epochs=epochs, steps=steps, verbose=0
        )

    def begin(self) -> None:
        """Call ``on_train_begin``; before the weights are broadcast."""
        self._call("on_train_begin", {})

    def epoch_begins(self, epoch: int) -> None:
        """Call ``on_epoch_begin`` of an epoch, counted from 0."""
        self._call("on_epoch_begin", epoch, {})
        self._share()

    def epoch_ends(self, epoch: int, logs: dict[str, Any]) -> bool:
        """Call ``on_epoch_end``; return whether a callback stops the training."""
        self._call("on_epoch_end", epoch, dict(logs))
        return self._share()

    def end(self, logs: dict[str, Any]) -> None:
        """Call ``on_train_end``; weights that are set now are saved."""
        self._call("on_train_end", dict(logs))

    def _call(self, hook: str, *args: Any) -> None:
        if self._list is None:
            return
        try:
            getattr(self._list, hook)(*args)
        except SparkMLDistError:
            raise
        except Exception as error:
            raise TrainingError(
                "callback_failed",
                f"A callback raised {type(error).__name__} in {hook}: {error}",
                "See the log of rank 0 for the whole trace.",
            ) from error

    def _share(self) -> bool:
        optimizer = self._model.optimizer
        # Mixed precision wraps the optimizer.
        rate = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
        if not isinstance(rate, keras.Variable):
            rate = None  # a schedule, which callbacks cannot set
        stop = bool(getattr(self._model, "stop_training", False))
        if hvd.size() == 1:
            return stop
        mine = [float(stop), 0.0 if rate is None else float(rate.numpy())]
        shared = hvd.broadcast(tf.constant(mine, tf.float64), 0, name="callbacks").numpy()
        if rate is not None:
            rate.assign(np.asarray(shared[1], rate.dtype))
        return bool(shared[0])


def _check(found: Any, name: str) -> None:
    if not isinstance(found, Sequence) or not all(
        isinstance(c, keras.callbacks.Callback) for c in found
    ):
        raise ConfigurationError(
            "not_callbacks",
            f"The function {name} must return a list of keras.callbacks.Callback. Got {found!r}.",
        )


def _has_batch_hooks(callback: Any) -> bool:
    kind = type(callback)
    if kind.__module__.split(".")[0] == "keras":
        return False
    base = keras.callbacks.Callback
    return any(getattr(kind, hook) is not getattr(base, hook) for hook in _BATCH_HOOKS)
