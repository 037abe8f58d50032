"""The fitted search: its trials, and the model of the best of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.html.summary import Row
from sparkml_dist.html.values import shortened
from sparkml_dist.metrics.scores import as_loss
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.params import HasClassColumns
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.search.pareto import pareto_front
from sparkml_dist.search.trial_table import TRIAL_SCHEMA, params_json
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BEST", "TRIALS_FILE", "HyperparameterSearchModel"]

BEST = "best"
_SHOWN = 5
TRIALS_FILE = "trials.json"


class HyperparameterSearchModel(FittedModel, ShardModel, HasClassColumns):
    """Fitted by `HyperparameterSearch`: the trials, and the best one as a model.

    ``transform`` and all that looks at predictions goes to `bestModel`.
    """

    @property
    def bestModel(self) -> ShardModel:
        """The model that was fitted with the best parameters, or chosen from the best trials.

        Raises
        ------
        ConfigurationError
            ``not_kept`` after a search with ``refit="none"``.
        """
        if not self.content["refit"]:
            raise ConfigurationError(
                "not_kept",
                "The search was run with refit='none': it has no model.",
                "Fit a model with bestParams, or search with refit='best'.",
            )
        if "_best_model" not in vars(self):
            self._best_model: ShardModel = self._load_best()
        for output in self._best_model.params:
            if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                value = self.getOrDefault(self.getParam(output.name))
                self._best_model._set(**{output.name: value})
        return self._best_model

    def _load_best(self) -> ShardModel:
        from sparkml_dist.models.loading import saved_inside

        model = saved_inside(self.folder, BEST, self.files, self.trusted)
        if not isinstance(model, ShardModel) or model.label.classes != self.label.classes:
            raise StorageError(
                "altered_manifest",
                f"{self.folder.uri(BEST)!r} does not hold a model that fits this search.",
                "The saved search was altered: restore it, or search again.",
            )
        return model

    @property
    def bestParams(self) -> dict[str, Any]:
        """The parameters of the best trial; values that JSON lacks as Python shows them."""
        return dict(self.content["best"]["params"])

    @property
    def bestEstimator(self) -> str | None:
        """Name of the best trial's estimator, if the search has several."""
        found: str | None = self.content["best"]["estimator"]
        return found

    @property
    def bestScore(self) -> float:
        """Score of the best trial on held-out rows."""
        return float(self.content["best"]["score"])

    @property
    def bestTrial(self) -> int:
        """Number of the best trial."""
        return int(self.content["best"]["trial"])

    @property
    def classes(self) -> list[Any]:
        """The class list, in the order of ``probability``; empty for a regression."""
        return list(self.label.classes)

    @property
    def numClasses(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.label.classes)

    def trialsTable(self) -> list[dict[str, Any]]:
        """Return the trials as dicts, with more than the columns of `trials`.

        ``rungs`` lists what each rung gave, ``part_scores`` the scores of each held-out part by
        metric, ``trace`` the end of the trace of a trial that raised.
        """
        if "_table" not in vars(self):
            self._table: list[dict[str, Any]] = self.folder.read_json(TRIALS_FILE)["trials"]
        return [dict(row) for row in self._table]

    @property
    def trials(self) -> DataFrame:
        """The trials, in the order of their numbers.

        Columns ``number``, ``estimator``, ``params`` (JSON), ``state`` (``"done"``, ``"failed"``,
        ``"timeout"``, ``"memory"``, ``"killed"`` or ``"deadline"``), ``reason``, ``rung`` and
        ``resource`` that it reached, ``score``, ``scores`` by metric, ``seconds`` of its fits,
        ``peakRssMb`` (most resident MiB of a process that fitted it, with the rows that it shares),
        ``bytes`` of its learners, ``millisecondsPerRow`` of their predictions.
        """
        names = [part.split()[0] for part in TRIAL_SCHEMA.replace("<string, ", "<").split(", ")]
        shown = [{**row, "params": params_json(row["params"])} for row in self.trialsTable()]
        rows = [tuple(row.get(n) for n in names) for row in shown]
        return get_session().createDataFrame(rows, TRIAL_SCHEMA)

    @property
    def paretoFront(self) -> list[int]:
        """Numbers of the trials that no other one beats in both of the first two metrics.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` if the search has one metric only.
        """
        metrics = self.content["metrics"]
        if len(metrics) < 2:
            raise ConfigurationError(
                "invalid_param",
                f"A Pareto front needs two metrics; the search has {metrics[0]!r} only.",
                "Search with metrics=[…] besides metric.",
            )
        rows = [r for r in self.trialsTable() if r["score"] is not None]
        losses = [[as_loss(m, row["scores"][m]) for m in metrics[:2]] for row in rows]
        return [int(rows[i]["number"]) for i in pareto_front(losses)]

    def plot(self, folder: str | None = None) -> Any:
        """Draw the search: its history, parameters, rungs and, for two metrics, the Pareto front.

        Parameters
        ----------
        folder : str, optional
            Path or URI where to write the PNG files.

        Returns
        -------
        matplotlib.figure.Figure, or list of str
            Without a folder, the history, which notebooks show; else locations of the files.
        """
        from sparkml_dist.search.search_plots import plot_history_of, plot_search

        return plot_history_of(self) if folder is None else plot_search(self, Folder.at(folder))

    def _shown(self) -> Iterator[Row]:
        yield from super()._shown()
        done = [row for row in self.trialsTable() if row["score"] is not None]
        metric = self.content["metrics"][0]
        for row in sorted(done, key=lambda row: as_loss(metric, row["score"]))[:_SHOWN]:
            params = ", ".join(f"{k}={v}" for k, v in row["params"].items())
            text = f"{row['estimator']}: {params}" if row["estimator"] else params
            yield Row(f"trial {row['number']}", f"{metric} {row['score']:.4f}", shortened(text))

    # -- delegated ------------------------------------------------------------------------

    def _target(self) -> str:
        score = f"{self.content['metrics'][0]} {self.bestScore:.4g}"
        return f"{len(self.trialsTable())} trials, {score}"

    def _scorer(self) -> Any:
        return self.bestModel._scorer()

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return self.bestModel._transform(dataset)

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        model.trusted = saved.trusted
        _ = model.bestParams, model.bestScore, json.dumps(model.content["metrics"])
        return model

    def _check_restored(self) -> None:
        if self.content["refit"]:
            _ = self.bestModel
