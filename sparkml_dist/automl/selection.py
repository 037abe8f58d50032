"""Selects the ensemble of the best trials on held-out rows, in one task."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.automl.ensemble_methods import (
    better_method,
    cross_validated,
    ensemble_weights,
    weighted_mean,
)
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.ensemble.calibration.calibrators import Calibration, Temperature
from sparkml_dist.members.held_out import HeldOutRows, outputs_type
from sparkml_dist.metrics.scores import score_rows
from sparkml_dist.persistence.arrays import read_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.trial_rows import TrialRows, labels_and_weights
from sparkml_dist.search.trial_task import VOTES, member_stem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Candidate", "Selected", "select_trials"]

# A cross-validation of the methods takes about so many times as long as a greedy selection.
_COMPARISON = 3.0


@dataclass(frozen=True)
class Candidate:
    """A trial that may be part of the ensemble.

    Attributes
    ----------
    trial : int
    members : int
        How many members it has fitted, of which the outputs are stored.
    """

    trial: int
    members: int


@dataclass(frozen=True)
class Selected:
    """The ensemble that was selected.

    Attributes
    ----------
    weights : dict of int to float
        Weight of each trial in it, by number; the sum is 1.
    method : {"greedy", "stacked"}
        How the weights were found.
    compared : dict of str to float
        Score of each method in a cross-validation on these rows; empty where there was none.
    scores : dict of str to float
        Of the ensemble, by metric, on the rows that it was selected on.
    rows : int
        Number of these rows.
    calibration : dict or None
        Calibrators of the ensemble, as `Calibration.to_dict` has them.
    peak_rss_mb : float
        Most resident MiB of the task.
    """

    weights: dict[int, float]
    method: str
    compared: dict[str, float]
    scores: dict[str, float]
    rows: int
    calibration: dict[str, Any] | None
    peak_rss_mb: float


def select_trials(
    spark: SparkSession,
    rows: TrialRows,
    folder: Folder,
    candidates: Sequence[Candidate],
    metrics: Sequence[str],
    seed: int,
    *,
    method: str,
    seconds: float | None,
    calibrate: bool,
) -> Selected:
    """Weight trials so that the mean of their outputs scores well by the first metric.

    Their outputs on held-out rows are read in a task; the driver gets weights and scores.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    rows : TrialRows
        Of the search.
    folder : Folder
        Of the search.
    candidates : sequence of Candidate
    metrics : sequence of str
    seed : int
    method : {"best", "greedy", "stacked"}
        See `sparkml_dist.automl.ensemble_methods`. The greedy selection begins with the best trial,
        and never scores below it on these rows.
    seconds : float or None
        For the comparison of methods; without it the greedy one is taken. None for no limit.
    calibrate : bool
        Whether to fit a temperature of the ensemble's probabilities on the same rows.
    """
    task = _SelectTask(
        rows, folder, tuple(candidates), tuple(metrics), seed, method, seconds, calibrate
    )
    (outcome,) = run_tasks(spark, [0], task, description="select the ensemble")
    if outcome.error is not None:
        raise outcome.error
    found = outcome.result
    pairs = zip(candidates, found["weights"], strict=True)
    return Selected(
        {c.trial: w for c, w in pairs if w > 0},
        found["method"],
        found["compared"],
        found["scores"],
        found["rows"],
        found["calibration"],
        round(outcome.peak_rss / 2**20, 1),
    )


@dataclass(frozen=True)
class _SelectTask:
    """Reads the outputs of all candidates, and weights them."""

    rows: TrialRows
    folder: Folder
    candidates: tuple[Candidate, ...]
    metrics: tuple[str, ...]
    seed: int
    method: str
    seconds: float | None
    calibrate: bool

    def __call__(self, index: int) -> dict[str, Any]:
        blocks = self.rows.scored()
        y, weight = labels_and_weights(blocks)
        key = np.concatenate([b.key for b in blocks])
        keep = self._kept(key)
        outputs = np.stack([self._outputs(c, len(y), keep) for c in self.candidates], axis=1)
        held_out = HeldOutRows(outputs, y[keep], weight[keep])
        method, compared, weights = self._weights(held_out, key[keep])
        mean = weighted_mean(held_out, weights)
        calibration = None
        if self.calibrate:
            slopes = Temperature.slopes(mean, held_out.y, held_out.weight)
            calibration = Calibration("temperature", (Temperature.fit(*slopes),))
            mean = calibration(mean)
        scores = {m: score_rows(m, held_out.y, mean, held_out.weight) for m in self.metrics}
        return {
            "weights": weights.tolist(),
            "method": method,
            "compared": compared,
            "scores": {m: s for m, s in scores.items() if math.isfinite(s)},
            "rows": len(keep),
            "calibration": None if calibration is None else calibration.to_dict(),
        }

    def _weights(
        self, rows: HeldOutRows, key: npt.NDArray[np.int64]
    ) -> tuple[str, dict[str, float], npt.NDArray[np.float64]]:
        """Return the method, the scores that it was chosen by, and the weights."""
        metric, seed, begun = self.metrics[0], self.seed, time.perf_counter()
        method = "stacked" if self.method == "stacked" else "greedy"
        weights = ensemble_weights(method, rows, metric, seed)
        needed = _COMPARISON * (time.perf_counter() - begun)
        too_long = self.seconds is not None and needed > self.seconds
        if self.method != "best" or len(self.candidates) == 1 or too_long:
            return method, {}, weights
        compared = cross_validated(rows, key, metric, seed)
        if better_method(compared, metric) == "stacked":
            return "stacked", compared, ensemble_weights("stacked", rows, metric, seed)
        return "greedy", compared, weights

    def _kept(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows to select on: as many as fit in a third of the memory."""
        classes = max(1, len(self.rows.data.manifest.label.classes))
        need = outputs_type(self.rows.data).itemsize * len(key) * len(self.candidates) * classes
        share = self.rows.memory / 3 / max(need, 1)
        if share >= 1:
            return np.arange(len(key))
        return np.flatnonzero(uniform(key, self.seed, "selection rows") < share)

    def _outputs(
        self, candidate: Candidate, rows: int, keep: npt.NDArray[np.int64]
    ) -> npt.NDArray[Any]:
        """Return the mean of a trial's members on the rows to keep."""
        home, total = self.folder.child(VOTES), None
        for member in range(candidate.members):
            name = f"{member_stem(candidate.trial, member)}.npy"
            votes = np.asarray(read_array(home, name, rows=rows), np.float64)[keep]
            total = votes if total is None else total + votes
        assert total is not None
        mean: npt.NDArray[Any] = total / candidate.members
        return mean.astype(outputs_type(self.rows.data))
