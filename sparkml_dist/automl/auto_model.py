"""The models of an algorithm selection: from a table to predictions, with all that was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from sparkml_dist.automl.table_features_model import TableFeaturesModel
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.html.summary import Row
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.figure import figure_of
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame

__all__ = [
    "FEATURES",
    "LEADERBOARD_FILE",
    "MODEL",
    "AutoClassificationModel",
    "AutoModel",
    "AutoRegressionModel",
]

_SHOWN = 5
FEATURES, MODEL, LEADERBOARD_FILE = "features", "model", "leaderboard.json"
_SCHEMA = (
    "trial int, family string, params string, score double, scores map<string, double>, "
    "weight double, state string, reason string, resource long, seconds double, "
    "peakRssMb double"
)


class AutoModel(FittedModel, ShardModel):
    """Base of the models of an algorithm selection."""

    #: Row of the leaderboard, and what was left out; read from the model's folder once.
    _record: dict[str, Any]

    @property
    def features(self) -> TableFeaturesModel | None:
        """How features are made of the table; None after a fit on a partitioned data set."""
        if not self.content["features"]:
            return None
        if "_features" not in vars(self):
            self._features: TableFeaturesModel = self._part(FEATURES, TableFeaturesModel)
        return self._features

    @property
    def bestModel(self) -> Any:
        """The ensemble of the selected trials, which predicts from features."""
        if "_best" not in vars(self):
            self._best: ShardModel = self._part(MODEL, ShardModel)
        return self._best

    def _part(self, name: str, kind: type) -> Any:
        from sparkml_dist.models.loading import saved_inside

        found = saved_inside(self.folder, name, self.files, self.trusted)
        if not isinstance(found, kind):
            raise StorageError(
                "altered_manifest",
                f"{self.folder.uri(name)!r} does not hold what belongs there.",
                "The saved model was altered: restore it, or fit it again.",
            )
        return found

    @property
    def metric(self) -> str:
        """The metric that decided."""
        return str(self.content["metric"])

    @property
    def scores(self) -> dict[str, float]:
        """Scores of the model on the rows that the ensemble was selected on, by metric.

        They are a little too good, because the selection has seen these rows.
        """
        return dict(self.content["scores"])

    @property
    def alerts(self) -> list[tuple[str, str]]:
        """Columns, and what deserves attention about them."""
        return [(str(name), str(text)) for name, text in self.content["alerts"]]

    @property
    def tried(self) -> list[tuple[str, str]]:
        """What is not part of the model, and why: columns, families, and trials."""
        return [(str(name), str(reason)) for name, reason in self._read()["left"]]

    def leaderboardTable(self) -> list[dict[str, Any]]:
        """Return the rows of `leaderboard` as dicts."""
        return [dict(row) for row in self._read()["trials"]]

    @property
    def leaderboard(self) -> DataFrame:
        """All trials, the best first.

        Columns ``trial``, ``family``, ``params`` (JSON), ``score`` by the metric that decided,
        ``scores`` of all metrics on held-out rows, ``weight`` in the ensemble, ``state``
        (``"done"``, or why not) and ``reason``, ``resource`` (rows or shards that it was fitted
        on), ``seconds`` of its fits, ``peakRssMb`` (most resident MiB of a process that fitted it,
        with the rows that it shares with others).
        """
        names = [part.split()[0] for part in _SCHEMA.replace("<string, ", "<").split(", ")]
        rows = [tuple(row.get(n) for n in names) for row in self.leaderboardTable()]
        return get_session().createDataFrame(rows, _SCHEMA)

    def plot(self) -> Figure:
        """Draw the scores of the best trials; those in the ensemble have colour.

        Returns
        -------
        matplotlib.figure.Figure
            Which notebooks show.
        """
        rows = [row for row in self.leaderboardTable() if row["score"] is not None][:20]
        named = {f"{row['family']} {row['trial']}": row for row in rows}
        values = {name: float(row["score"]) for name, row in named.items()}
        chosen = [name for name, row in named.items() if row["weight"] > 0]
        return figure_of(
            lambda folder: plot_bars(
                values,
                folder,
                "leaderboard.png",
                title="Best trials, and those in the ensemble",
                x=self.metric,
                marked=chosen,
            )
        )

    def _shown(self) -> Iterator[Row]:
        yield from super()._shown()
        for row in self.leaderboardTable()[:_SHOWN]:
            if row["score"] is not None:
                weight = f"weight {row['weight']:.2f}" if row["weight"] else "not in the ensemble"
                text = f"{row['family']}, {self.metric} {row['score']:.4f}"
                yield Row(f"trial {row['trial']}", text, f"({weight})")

    def _read(self) -> dict[str, Any]:
        if "_record" not in vars(self):
            self._record = self.folder.read_json(LEADERBOARD_FILE)
        return self._record

    # -- predictions ----------------------------------------------------------------------

    def prepare(self, df: DataFrame) -> DataFrame:
        """Return a table with the columns of features that are made of dates and texts added.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
        """
        return df if self.features is None else self.features.transform(df)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        prepared = self.prepare(dataset)
        made = [name for name in prepared.columns if name not in dataset.columns]
        return self._scored(prepared).drop(*made)

    def _scored(self, prepared: DataFrame) -> DataFrame:
        """Return a table of features with the predictions added."""
        raise NotImplementedError

    def _scorer(self) -> Any:
        return self.bestModel._scorer()

    def permutationImportance(self, df: DataFrame, **options: Any) -> Any:
        """Return how much the score on `df` worsens when a feature's values are shuffled.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Rows that the model was not fitted on, with the label.
        **options
            As for the other models: ``metric``, ``repeats``, ``seed``, ``maxRows``, ``features``.
        """
        return super().permutationImportance(self.prepare(df), **options)

    def partialDependence(self, df: DataFrame, features: Sequence[str], **options: Any) -> Any:
        """Return how the mean prediction depends on each of some features.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
        features : sequence of str
            Names of features, numeric or categorical.
        **options
            As for the other models: ``gridSize``, ``maxRows``, ``seed``.
        """
        return super().partialDependence(self.prepare(df), features, **options)

    def to_sklearn(self) -> Any:
        """Return the model as a scikit-learn estimator that predicts without Spark.

        Raises
        ------
        ConfigurationError
            ``needs_spark`` if features are made of dates, texts or infinite numbers.
        """
        made = [] if self.features is None else self.features.columns
        odd = [c.name for c in made if c.outputs != (c.name,)]
        if odd:
            raise ConfigurationError(
                "needs_spark",
                f"Features are made of {', '.join(map(repr, odd[:5]))}, which Spark does.",
                "Use model.bestModel.to_sklearn() on rows that model.prepare(df) returns.",
            )
        return super().to_sklearn()

    def writeReport(
        self, path: str, df: DataFrame, *, title: str = "", cardPath: str | None = None
    ) -> str:
        """Write a report with pictures on rows that the model has not seen, as one HTML page.

        Beside it goes a model card in Markdown.

        Parameters
        ----------
        path : str
            Of the page, such as ``"report.html"``: a local path or a URI.
        df : pyspark.sql.DataFrame
            Rows that the model was not fitted on, with the label.
        title : str, optional
        cardPath : str, optional
            Of the model card; by default that of the page with the suffix ``.md``.

        Returns
        -------
        str
            The path.
        """
        from sparkml_dist.automl.auto_report import write_report

        return write_report(self, path, df, title=title, card=cardPath)

    # -- saving and loading ---------------------------------------------------------------

    def _target(self) -> str:
        score = self.content["scores"].get(self.metric)
        shown = "" if score is None else f", {self.metric} {score:.4g}"
        return f"{self.content['trials']} trials{shown}"

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        model.trusted = saved.trusted
        _ = model.metric, model.scores, model.alerts, saved.listed(LEADERBOARD_FILE)
        return model

    def _check_restored(self) -> None:
        _ = self.bestModel._scorer(), self.features, self.tried, self.leaderboardTable()
        if self.bestModel.label.classes != self.label.classes:
            raise ValueError("the model inside has other classes")


class AutoClassificationModel(AutoModel, ShardClassificationModel):
    """Fitted by `AutoClassifier`: predicts from rows of the table itself.

    See `AutoClassifier` for what it consists of, and `ShardModel` for the attributes.
    """

    def _scored(self, prepared: DataFrame) -> DataFrame:
        return ShardClassificationModel._transform(self, prepared)


class AutoRegressionModel(AutoModel, ShardRegressionModel):
    """Fitted by `AutoRegressor`: predicts from rows of the table itself.

    See `AutoClassifier` for what it consists of, and `ShardModel` for the attributes.
    """

    def _scored(self, prepared: DataFrame) -> DataFrame:
        return ShardRegressionModel._transform(self, prepared)
