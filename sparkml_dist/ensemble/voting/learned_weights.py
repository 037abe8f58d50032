"""Each learner's weight in a vote, learnt from validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.ensemble.voting.mixture import mixture_weights, simplex_least_squares
from sparkml_dist.members.engine import Engine
from sparkml_dist.members.held_out import HELD_OUT, HeldOut, HeldOutRows, write_held_out

__all__ = ["RESULT", "learn_weights"]

RESULT = "weights.json"


def learn_weights(engine: Engine, held_out: HeldOut, learners: Sequence[int]) -> dict[str, Any]:
    """Learn and commit the convex weights of learners with the least loss on validation rows.

    For classification, the weights minimise the log loss of the mean probabilities; one task finds
    them. For a regression, they minimise the squared error: each shard's task adds up products of
    errors, and only those sums reach the driver.

    Parameters
    ----------
    engine : Engine
        The engine that fitted the members.
    held_out : HeldOut
        The members' outputs on validation rows.
    learners : sequence of int, length n_members
        Learner of each member; members of one learner share its weight.

    Returns
    -------
    dict
        ``weights`` (list of float, one per learner), ``rows``, and ``predict_seconds`` of the
        members.
    """
    rows, predicting = write_held_out(engine.spark, held_out)
    if held_out.bank.n_classes:
        task = _Mixture(held_out, tuple(learners))
        outcome = run_tasks(engine.spark, [0], task, description="learn weights")[0]
        if outcome.error:
            raise outcome.error
        found = outcome.result["weights"]
    else:
        shards = [s for s in range(len(engine.data.shards)) if _rows(held_out, s)] or [0]
        products = _Products(held_out, tuple(learners))
        sums = sum_over_shards(engine.spark, shards, products, description="learn weights")
        found = simplex_least_squares(sums["errors"] / sums["weight"]).tolist()
    result = {"weights": found, "rows": rows, "predict_seconds": round(predicting, 3)}
    engine.folder.write_json(RESULT, result)
    engine.folder.child(HELD_OUT).delete()
    return result


def _rows(held_out: HeldOut, shard: int) -> int:
    return int(held_out.home.read_json(f"shard-{shard:05d}.json")["rows"])


def _by_learner(values: npt.NDArray[Any], learners: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the mean over the members of each learner, shape (n, n_learners)."""
    of = np.asarray(learners)
    return np.stack(
        [values[:, of == k].mean(axis=1, dtype=np.float64) for k in range(of.max() + 1)], axis=1
    )


@dataclass(frozen=True)
class _Mixture:
    """Finds the weights with the least log loss, in one task."""

    held_out: HeldOut
    learners: tuple[int, ...]

    def __call__(self, _: int) -> dict[str, Any]:
        rows: HeldOutRows = self.held_out.read()
        given = rows.outputs[np.arange(len(rows.y)), :, rows.y]
        weights = mixture_weights(_by_learner(given, self.learners), rows.weight)
        return {"weights": weights.tolist()}


@dataclass(frozen=True)
class _Products:
    """Adds up products of errors over the validation rows of a shard."""

    held_out: HeldOut
    learners: tuple[int, ...]

    def __call__(self, shard: int) -> Summands:
        rows = self.held_out.read(shard)
        errors = _by_learner(rows.outputs, self.learners) - rows.y[:, None]
        weighted = (errors * rows.weight[:, None]).T @ errors
        return {"errors": weighted, "weight": rows.weight.sum(dtype=np.float64)}
