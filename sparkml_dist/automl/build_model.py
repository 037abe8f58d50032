"""Makes a model of the selected trials: their members, weighted, and calibrated if asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sparkml_dist.automl.refit import Refit, refit_trials
from sparkml_dist.automl.selection import Selected
from sparkml_dist.automl.trials import Trials
from sparkml_dist.ensemble.calibration.model import BASE, CalibratedClassificationModel
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.members.ensemble_model import voting_content
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.saved_folder import SavedFolder
from sparkml_dist.search.trial_table import peak_rss_mb

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["save_ensemble"]

_logger = logging.getLogger(__name__)
# Seconds that are left for the commit after refits.
_COMMIT_SECONDS = 1.0


def save_ensemble(
    spark: SparkSession, trials: Trials, selected: Selected, folder: Folder, name: str
) -> tuple[list[ModelFile], float]:
    """Save the ensemble as a model in a folder inside another.

    Where a hold-out of a single shard was scored on, trials are fitted again on all of its rows, as
    long as there is time; the others keep the members that they have.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    trials : Trials
        After their run.
    selected : Selected
    folder : Folder
        Of the outer model's files.
    name : str
        Name of the folder inside.

    Returns
    -------
    files : list of ModelFile
    peak_rss_mb : float
        Most resident MiB of a process that has fitted a member of the ensemble.
    """
    home = folder.child(name)
    base = home.child(BASE) if selected.calibration is not None else home
    members, weights, peak = _members(spark, trials, selected)
    for record in members:
        trials.folder.copy_file_to(record["file"], base)
    label = trials.data.manifest.label
    kind = VotingRegressionModel if label.is_regression else VotingClassificationModel
    model: ShardModel = kind(
        base,
        trials.data.schema,
        label,
        [ModelFile(r["file"], r["bytes"], r["sha256"]) for r in members],
        voting_content(members, weights, "mean" if label.is_regression else "soft"),
        {
            "seconds": {"member_fit": round(sum(r.get("seconds", 0.0) for r in members), 3)},
            "peak_worker_rss_mb": peak,
        },
    )
    model._save_manifest(SavedFolder(base))
    if selected.calibration is not None:
        model = CalibratedClassificationModel(
            home,
            model.schema,
            label,
            [ModelFile.of(home, f"{BASE}/{n}") for n in base.walk()],
            {"calibration": selected.calibration, "base": kind.__name__},
            {"calibration": {"rows": selected.rows}},
        )
        model._save_manifest(SavedFolder(home))
    return [ModelFile.of(folder, f"{name}/{n}") for n in home.walk()], peak


def _members(
    spark: SparkSession, trials: Trials, selected: Selected
) -> tuple[list[dict[str, Any]], list[float], float]:
    """Return the records of the ensemble's members, their weights, and the peak of their memory."""
    latest = {t: trials.latest(t) for t in selected.weights}
    again = _refitted(spark, trials, selected, latest) if trials.schedule.refits else {}
    members: list[dict[str, Any]] = []
    weights: list[float] = []
    for trial, weight in selected.weights.items():
        own = [again[trial]] if trial in again else latest[trial]["members"]
        members += own
        weights += [weight / len(own)] * len(own)
    peak = peak_rss_mb([*latest.values(), *again.values()])
    return members, weights, peak


def _refitted(
    spark: SparkSession, trials: Trials, selected: Selected, latest: dict[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    order = sorted(selected.weights, key=lambda t: (-selected.weights[t], t))
    works = []
    for trial in order:
        setting = trials.engine.jobs[trial, latest[trial]["rung"]].setting
        known = trials.learners.of(setting.estimator, setting.params)
        works.append(Refit(trial, known, trials.refit_seconds(latest[trial])))

    def left() -> float | None:
        seconds = trials.budget.left()
        return None if seconds is None else seconds - _COMMIT_SECONDS

    trials.folder.child(MEMBERS).create()
    found = refit_trials(
        spark,
        trials.rows,
        trials.folder,
        works,
        trials.schedule.resource.shards or (0,),
        trials.seed,
        trials.cores,
        (),
        slots=trials.slots,
        limits=trials.limits,
        left=left,
    )
    if len(found) < len(works):
        _logger.info("%d of %d trials were fitted again on all rows", len(found), len(works))
    return dict(found)
