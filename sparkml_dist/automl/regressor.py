"""From a table and a numeric label to a good regressor, by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sparkml_dist.automl.auto import AutoEstimator
from sparkml_dist.params import constructor

if TYPE_CHECKING:
    from sparkml_dist.dataset.columns import Task

__all__ = ["AutoRegressor"]


class AutoRegressor(AutoEstimator):
    """Finds a good regressor for a table within a budget of time, or of trials.

    See `AutoClassifier` for what it does.

    Parameters
    ----------
    timeBudget : float, optional
        Seconds for everything that ``fit`` does; 60 without ``numTrials``.
    numTrials : int, optional
        Number of settings to try instead. The same seed then gives the same model.
    metric : {"rmse", "mae", "r2"}, optional
        Decides: the root mean squared error by default.
    families, numFolds, ensembleMethod, memoryPerTask, textCols
        As for `AutoClassifier`.
    seed, featuresCols, featuresCol, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, shardsDir, modelDir, overwrite, resume
        As for `BaggingRegressor`.

    Raises
    ------
    SparkMLDistError
        As for `AutoClassifier`.

    Examples
    --------
    >>> table = spark.createDataFrame(
    ...     [(i % 7, i % 3, 2.0 * (i % 7) - i % 3) for i in range(80)],
    ...     "a int, b int, label double",
    ... )
    >>> auto = AutoRegressor(numTrials=2, families=["linear"])
    >>> round(auto.fit(table).scores["r2"], 2)
    1.0
    """

    _task: ClassVar[Task] = "regression"

    @constructor
    def __init__(
        self,
        *,
        timeBudget: float | None = None,
        numTrials: int | None = None,
        metric: str | None = None,
        families: Sequence[str] | None = None,
        ensembleMethod: str = "best",
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
    ) -> None: ...
