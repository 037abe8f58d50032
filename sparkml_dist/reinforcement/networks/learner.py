"""Base of the networks that learn from transitions: losses of each row, and target networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.deep.backend.without_horovod import keras
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

__all__ = ["OffPolicyLearner", "chosen", "squared"]


class OffPolicyLearner(keras.Model):
    """A model whose outputs are the terms of the loss of each transition.

    Its inputs are columns of transitions: ``state`` and ``next_state`` of shape (n, width), the
    ``action``, the ``reward`` (of several steps, perhaps) and the ``discount`` of the value of the
    next state, 0 where there is none, each (n, 1); ``next_available`` of shape (n, n_actions) where
    not all actions are always possible. The trainer of `sparkml_dist.deep` averages its outputs
    over the rows, by their weights, and adds them up.

    Parameters
    ----------
    spec : LearnerSpec
        Its `terms` are the outputs.
    unit : float
        Unit in which the networks learn values.

    Attributes
    ----------
    predictor : keras.Model
        The part that is saved: from states to ``spec.outputs``.
    """

    def __init__(self, spec: LearnerSpec, unit: float = 1.0) -> None:
        super().__init__(name=spec.algorithm)
        self.spec, self.unit = spec, unit

    def ready(self, total_steps: int) -> OffPolicyLearner:
        """Copy the weights to the target networks, compile, and return the model.

        Over the updates of the training the learning rate falls to a hundredth: the policy of
        values that still move would be that of the last few batches.
        """
        for network, target in self.targets():
            target.set_weights(network.get_weights())
            target.trainable = False
        rate = keras.optimizers.schedules.CosineDecay(self.spec.rate, total_steps, alpha=0.01)
        self.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=dict.fromkeys(self.spec.terms, _as_it_is),
            loss_weights=self.spec.terms,
            jit_compile=False,
        )
        return self

    @property
    def predictor(self) -> Any:
        """The network that is saved, which shares this one's weights."""
        width = self._first.input_shape
        state = keras.Input(width[1:], name="state")
        return keras.Model(state, self._predictions(state), name=self.spec.algorithm)

    @property
    def _first(self) -> Any:
        """A network that takes states only."""
        raise NotImplementedError

    def _predictions(self, state: Any) -> list[Any]:
        """Return ``spec.outputs`` for states."""
        raise NotImplementedError

    def _in_reward_units(self, values: Any) -> Any:
        """Return values in the unit of rewards, for the predictor."""
        return keras.layers.Rescaling(self.unit)(values)

    def targets(self) -> Sequence[tuple[Any, Any]]:
        """Return each network that has a target network, with it."""
        return ()

    def after_update(self) -> None:
        """Move the target networks; called after each update of the weights."""
        rate = self.spec.target_update
        due = self.optimizer.iterations % max(1, int(rate)) == 0
        for network, target in self.targets():
            for new, old in zip(network.weights, target.weights, strict=True):
                if rate < 1:
                    old.assign(old + rate * (new - old))
                else:
                    old.assign(keras.ops.where(due, new, old))


def chosen(values: Any, action: Any) -> Any:
    """Return the value of each row's action, (n, 1), from those of all actions."""
    codes = keras.ops.cast(keras.ops.reshape(action, (-1,)), "int32")
    taken = keras.ops.one_hot(codes, values.shape[1], dtype=values.dtype)
    return keras.ops.sum(values * taken, axis=1, keepdims=True)


def squared(difference: Any) -> Any:
    """Return half of the square of each number."""
    return 0.5 * keras.ops.square(difference)


def _as_it_is(y_true: Any, y_pred: Any) -> Any:
    """Return the output: it is a term of the loss."""
    del y_true
    return y_pred
