"""A PySpark classifier of boosted trees, trained by ranks over all rows with XGBoost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sparkml_dist.boosting.booster_model import BoosterModel
from sparkml_dist.boosting.estimator import BoostingEstimator
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor

__all__ = ["XGBoostClassificationModel", "XGBoostClassifier"]


class XGBoostClassificationModel(BoosterModel, ShardClassificationModel):
    """The model of `XGBoostClassifier`; see `BoosterModel` for the attributes."""


class XGBoostClassifier(BoostingEstimator, ShardClassifier):
    """One gradient-boosted model over all rows, however many: XGBoost, run by several ranks.

    The processes (*ranks*) run at the same time in Spark tasks, one each. Every rank streams an
    equal part of the rows from the shards, bins them once, and adds its histograms to those of the
    others for every split (XGBoost's own collective): the trees are those of one process with all
    rows, up to the rounding of sums and of the quantiles that bins are made of. Rows that do not
    fit into `memoryPerTask` stay, binned, on the executor's local disk.

    Parameters
    ----------
    numMembers : int, default=100
        Most rounds: a tree for two classes, one for each class for more.
    numRanks : int, default=2
    learningRate, maxDepth, maxLeaves, growPolicy, maxBin, minChildWeight, minSplitLoss, \
subsample, colsampleByTree, regLambda, regAlpha : optional
        XGBoost's parameters and defaults, in PySpark's spelling; `minSplitLoss` is its ``gamma``.
        With bins on disk, ``growPolicy="lossguide"`` reads them for every leaf, ``"depthwise"``
        once for every level.
    monotoneConstraints : dict, optional
        From feature columns to 1 (the prediction rises with it), -1 (falls) or 0.
    interactionConstraints : list of lists of str, optional
        Feature columns that may be on one path of a tree.
    objective : str or callable, optional
        ``"binary:logistic"`` or ``"multi:softprob"`` by the number of classes. A function
        ``f(margin, dmatrix)`` that returns gradient and hessian, or the dotted path of one,
        replaces the gradients of these.
    evalMetric : list of str, optional
        Metrics of each round: ``logloss``, ``error``, ``auc``, ``aucpr``; for more classes
        ``mlogloss``, ``merror``, ``auc``. That of the objective by default.
    validationFraction : float, default=0
        Share of the rows, by hashes of their keys, that is held out from training and evaluated.
    stopMetric, patience, tol : optional
        End after `patience` rounds without an improvement of more than `tol`, and keep the rounds
        up to the best one. By default of the last metric, on held-out rows if there are some.
    checkpointRounds : int, default=20
        Rounds from one checkpoint to the next; 0 for none.
    keepCheckpoints : int, default=0
        Number of the last checkpoints that stay in `modelDir`, one of the end of the training among
        them. A fit with `resume` and more `numMembers` goes on from there: it grows the same trees
        as one that had so many rounds from the beginning, but for random draws (`subsample`).
    maxRestarts : int, default=2
        Most restarts from the last checkpoint after the loss of a rank. The model is the same to
        the bit as without the loss.
    externalMemory : bool, optional
        Whether bins are kept on disk; by default where they do not fit into `memoryPerTask`.
    extraParams : dict, optional
        Further parameters of XGBoost, by its own names, such as ``{"max_cat_to_onehot": 8}``.
    stallTimeout, silenceTimeout, slotTimeout : float
        As for `KerasClassifier`.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
        Categories are split natively; missing values, and categories that were not seen in
        training, go the way that each split learns. In sparse vectors, zeros count as missing.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds; ``rawPrediction`` holds log odds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is partitioned; `memoryPerTask` is also the memory of a rank.
    modelDir, overwrite, resume
        Folder of the model, the logs of the ranks and, until the end, checkpoints. With `resume`
        an unfinished fit is resumed, also with another `numRanks`.
    seed : int, default=0

    References
    ----------
    Chen, Guestrin (2016), "XGBoost: a scalable tree boosting system", arXiv:1603.02754.

    Examples
    --------
    >>> boosting = XGBoostClassifier(numMembers=5, numRanks=1, labelCol="species")
    >>> fitted = boosting.fit(iris)
    >>> fitted.booster.num_boosted_rounds(), sorted(fitted.history)
    (5, ['mlogloss'])
    """

    _model_class: ClassVar[type[BoosterModel]] = XGBoostClassificationModel

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 100,
        numRanks: int = 2,
        learningRate: float = 0.3,
        maxDepth: int = 6,
        maxLeaves: int = 0,
        growPolicy: str = "depthwise",
        maxBin: int = 256,
        minChildWeight: float = 1.0,
        minSplitLoss: float = 0.0,
        subsample: float = 1.0,
        colsampleByTree: float = 1.0,
        regLambda: float = 1.0,
        regAlpha: float = 0.0,
        monotoneConstraints: dict[str, int] | None = None,
        interactionConstraints: Sequence[Sequence[str]] | None = None,
        objective: Any = None,
        evalMetric: Sequence[str] | None = None,
        validationFraction: float = 0.0,
        stopMetric: str | None = None,
        patience: int | None = None,
        tol: float = 0.0,
        checkpointRounds: int = 20,
        keepCheckpoints: int = 0,
        maxRestarts: int = 2,
        externalMemory: bool | None = None,
        extraParams: dict[str, Any] | None = None,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
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
