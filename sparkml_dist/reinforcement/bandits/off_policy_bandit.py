"""Policies for single decisions from logged propensities, by any scikit-learn regressor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.learner import refuse_unusable
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import HasModelDir, constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.bandits.bandit_estimator import BanditEstimator
from sparkml_dist.reinforcement.bandits.pseudo_rewards import write_pseudo_rewards
from sparkml_dist.reinforcement.fitted_q_iteration import FittedQIteration
from sparkml_dist.reinforcement.policy_estimator import HasLogColumns
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.session import trusted_in_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkml_dist.reinforcement.fitted_q_model import FittedQModel

__all__ = ["OffPolicyBandit"]

_logger = logging.getLogger(__name__)

_METHODS = ("dm", "ips", "dr")
_ONE_SHARD = (
    "The log has one shard, whose predictions are its own: a learner that follows its rows exactly "
    "has no errors to correct, and 'dr' is then 'dm'. Set numShards to 2 or more."
)


class OffPolicyBandit(BanditEstimator, HasModelDir):
    """Learns which action brings the most from a log of decisions and their probabilities.

    The log has the reward of the action that was taken; those of the other actions are estimated,
    and a regressor of each action learns them from the state, on each shard in a task of its own.
    The policy takes the action with the largest prediction.

    Parameters
    ----------
    estimator : scikit-learn regressor, optional
        By default ``ExtraTreesRegressor``, as for `FittedQIteration`.
    method : {"dr", "ips", "dm"}, default="dr"
        ``"dm"`` learns each action's reward from its own rows alone. ``"ips"`` and ``"dr"`` learn
        from all rows: a reward that was seen counts 1 / probability times, and others 0; or, doubly
        robust, others count as ``"dm"`` predicts them, and one that was seen is corrected by 1 /
        probability times its error. Predictions for a shard's rows are those of other shards; those
        of a single shard are its own, so that with a learner that follows its rows exactly, such as
        a full-grown tree, ``"dr"`` is ``"dm"``: take `numShards` of 2 or more.
    clip : float, optional
        Largest 1 / probability.
    stateCols, actionCol, rewardCol, behaviorProbCol, weightCol, actions : str or list
        The columns of the log; ``"ips"`` and ``"dr"`` need `behaviorProbCol`.
    numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, trustedTypes, seed
        As for `FittedQIteration`.
    qValuesCol, chosenActionCol, actionProbabilityCol : str
        Columns that the model adds.

    References
    ----------
    Dudík, Langford, Li (2011), "Doubly robust policy evaluation and learning", ICML.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> rows = [(i % 2, a, float(i % 2 == (a == "b")), 0.5) for i in range(40) for a in "ab"]
    >>> log = spark.createDataFrame(rows, "x int, action string, reward double, p double")
    >>> learner = OffPolicyBandit(estimator=LinearRegression(), stateCols=["x"],
    ...                           behaviorProbCol="p", numShards=2)
    >>> model = learner.fit(log)
    >>> model.act([0.0]), model.act([1.0])
    ('a', 'b')
    """

    estimator: Any = param("estimator", "scikit-learn regressor of the rewards")
    method: Any = param("method", "'dr', 'ips' or 'dm'", TypeConverters.toString)
    clip: Any = param("clip", "largest 1 / probability (> 0)", TypeConverters.toFloat)
    behaviorProbCol: Any = HasLogColumns.behaviorProbCol
    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain in addition to the allow-list",
        TypeConverters.toListString,
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        method: str = "dr",
        clip: float | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        behaviorProbCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        trustedTypes: Sequence[str] = (),
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...

    def _check(self, spark: SparkSession) -> None:
        if (method := self.getOrDefault(self.method)) not in _METHODS:
            raise ConfigurationError(
                "invalid_param", f"method must be one of {', '.join(_METHODS)}. Got {method!r}."
            )
        clip = self._value(self.clip)
        if clip is not None and not clip > 0:
            raise ConfigurationError("invalid_param", f"clip must be > 0. Got {clip}.")
        if self.isSet(self.estimator):
            refuse_unusable(self.getOrDefault(self.estimator), voting="mean", task="regression")

    def _logged_probability(self) -> str | None:
        return self._value(self.behaviorProbCol)

    def _fit_decisions(self, spark: SparkSession, data: TransitionDataset) -> FittedQModel:
        method = self.getOrDefault(self.method)
        if method != "dm" and "behaviorProb" not in data.schema.columns:
            raise ConfigurationError(
                "no_propensities",
                f"The method {method!r} needs the probability of each logged action.",
                "Name its column with behaviorProbCol, add one by estimate_propensities, or use "
                "method='dm'.",
            )
        if method == "dm":
            return self._regression(final=True).fit(data)
        folder = temporary_folder(spark, "rewards", "modelDir")
        try:
            if method == "dr" and len(data.shards) == 1 and self.isSet(self.estimator):
                _logger.warning(_ONE_SHARD)
            first = self._regression(final=False).fit(data) if method == "dr" else None
            rewards = write_pseudo_rewards(
                spark, data, folder, model=first, clip=self._value(self.clip)
            )
            return self._regression(final=True).fit(rewards)
        finally:
            folder.delete()

    def _regression(self, *, final: bool) -> FittedQIteration:
        """Return the estimator of rewards: one iteration, in which nothing follows an action."""
        names = ["estimator", "memoryPerTask", "trustedTypes", "seed"]
        if final:
            names += ["modelDir", "overwrite", "resume"]
        given = {n: self._value(self.getParam(n)) for n in names}
        return FittedQIteration(
            **given, perAction=True, maxIter=1, validationFraction=0.0, discount=0.0
        )

    def _save_object(self, folder: Folder, name: str) -> None:
        trusted = (*self.getOrDefault(self.trustedTypes), *trusted_in_session())
        content = dump_learner(self.getOrDefault(self.estimator), trusted=trusted)
        folder.write_bytes(f"{name}.skops", content)

    def _load_object(self, saved: Saved, name: str) -> None:
        file = f"{name}.skops"
        if saved.has(file):
            content = saved.read_bytes(file)
            learner = load_learner(content, saved.folder.uri(file), trusted=saved.trusted)
            self._set(**{name: learner})
