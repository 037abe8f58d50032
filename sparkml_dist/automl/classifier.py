"""From a table and a label to a good classifier, by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.automl.auto import AutoEstimator
from sparkml_dist.params import HasClassColumns, constructor, param

if TYPE_CHECKING:
    from sparkml_dist.dataset.columns import Task

__all__ = ["AutoClassifier"]


class AutoClassifier(AutoEstimator, HasClassColumns):
    """Finds a good classifier for a table within a budget of time, or of trials.

    1. `TableFeatures` makes features of the table's columns, drops what is of no use, and says
       what deserves attention.
    2. The rows are partitioned into shards: one for a table that fits in a task's memory.
    3. Families of learners (linear models, nearest neighbours, forests, perceptrons, kernel
       machines, gradient boosting of scikit-learn, LightGBM, XGBoost and CatBoost) each begin with
       settings that are good on many data sets. Then a family gets trials the more often, the less
       time it is expected to need for an improvement; what is tried of it is proposed by
       tree-structured Parzen estimators. Trials begin with few rows, or few shards, and the best
       quarter goes on with more (asynchronous successive halving).
    4. The ensemble of the trials is found by their predictions on rows that they have not seen:
       greedily, from the best single one on, or stacked, with the non-negative weights of least
       loss, whichever a cross-validation on these rows prefers. Up to 3,000 rows are
       cross-validated: the members of all folds vote. A larger single shard has a hold-out, and the
       chosen trials are fitted again on all rows. With several shards, the members that trials
       fitted on shards vote.

    Parameters
    ----------
    timeBudget : float, optional
        Seconds for everything that ``fit`` does; 60 without ``numTrials``.
    numTrials : int, optional
        Number of settings to try instead. The same seed then gives the same model.
    metric : {"auc", "log_loss", "accuracy"}, optional
        Decides: the area under the ROC curve for two classes, and the log loss for more, by
        default.
    families : list of str, optional
        ``"lightgbm"``, ``"extra_trees"``, ``"perceptron"``, ``"hist_gradient_boosting"``,
        ``"linear"``, ``"neighbors"``, ``"xgboost"``, ``"kernel"``, ``"random_forest"``,
        ``"catboost"``. All that are installed, and do not take too long, by default.
    ensembleMethod : {"best", "greedy", "stacked"}, default="best"
        How trials are weighted in the ensemble. The comparison for ``"best"`` is left out, and the
        greedy selection taken, if it would take more than 2 % of ``timeBudget``.
    calibrate : bool, default=False
        Whether to calibrate the ensemble's probabilities by a temperature.
    numFolds : int, optional
        Folds of a cross-validation.
    memoryPerTask : str, optional
        Sizes the shards, and bounds what a fit may take beyond the rows that it shares: a trial
        that takes more is ended, with this reason.
    textCols : list of str, optional
        As for `TableFeatures`, as are ``featuresCols``, ``categoricalCols``, ``weightCol`` and
        ``keyCol``.
    seed, featuresCol, labelCol, predictionCol, probabilityCol, rawPredictionCol, \
predictedLabelCol, numShards, shardsDir, modelDir, overwrite, resume
        As for `BaggingClassifier`.

    Raises
    ------
    ConfigurationError
        ``invalid_param``, or ``budget_too_small`` if no trial ended in time.
    DataError
        Those of `TableFeatures` and `partition`; ``too_many_classes`` if the label may identify
        rows; ``too_few_rows`` if each class has a single row.
    TrainingError
        ``all_trials_failed``, with the most common reasons.

    References
    ----------
    Wang, Wu, Weimer, Zhu (2021), "FLAML: a fast and lightweight AutoML library". Erickson et al.
    (2020), "AutoGluon-Tabular: robust and accurate AutoML for structured data". Caruana,
    Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models". Van der
    Laan, Polley, Hubbard (2007), "Super learner". Li et al. (2020), "A system for massively
    parallel hyperparameter tuning".

    Examples
    --------
    >>> auto = AutoClassifier(labelCol="species", numTrials=3, families=["linear", "neighbors"])
    >>> fitted = auto.fit(iris)
    >>> fitted.leaderboard.count(), fitted.scores["accuracy"] > 0.9
    (3, True)
    """

    calibrate: Any = param(
        "calibrate", "whether to calibrate the probabilities", TypeConverters.toBoolean
    )

    _task: ClassVar[Task] = "classification"

    @constructor
    def __init__(
        self,
        *,
        timeBudget: float | None = None,
        numTrials: int | None = None,
        metric: str | None = None,
        families: Sequence[str] | None = None,
        ensembleMethod: str = "best",
        calibrate: bool = False,
        numFolds: int | None = None,
        textCols: Sequence[str] | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _calibrates(self) -> bool:
        return bool(self.getOrDefault(self.calibrate))
