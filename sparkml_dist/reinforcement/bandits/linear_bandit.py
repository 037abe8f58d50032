"""Linear contextual bandits from sums over shards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import constructor, param
from sparkml_dist.reinforcement.bandits.bandit_estimator import BanditEstimator
from sparkml_dist.reinforcement.bandits.linear_bandit_model import LinearBanditModel
from sparkml_dist.reinforcement.bandits.linear_sums import fit_ridges
from sparkml_dist.reinforcement.evaluation.log_sums import ShardLog
from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LinUCB", "LinearThompsonSampling"]


class _LinearBandit(BanditEstimator):
    alpha: Any = param(
        "alpha", "penalty on the squares of coefficients (> 0)", TypeConverters.toFloat
    )
    exploration: Any = param(
        "exploration",
        "standard deviations that are added to the mean reward, or the standard deviation of a "
        "reward's noise (>= 0)",
        TypeConverters.toFloat,
    )

    _kind: ClassVar[str]

    def _check(self, spark: SparkSession) -> None:
        if not (alpha := self.getOrDefault(self.alpha)) > 0:
            raise ConfigurationError("invalid_param", f"alpha must be > 0. Got {alpha}.")
        if not (exploration := self.getOrDefault(self.exploration)) >= 0:
            raise ConfigurationError(
                "invalid_param", f"exploration must be >= 0. Got {exploration}."
            )

    def _fit_decisions(self, spark: SparkSession, data: TransitionDataset) -> LinearBanditModel:
        begun = time.perf_counter()
        alpha = self.getOrDefault(self.alpha)
        ridges = fit_ridges(ShardLog(spark, data), StateFeatures.of(data.schema.state), alpha)
        label = data.schema.action
        assert label is not None
        summary = {
            "rows": data.n_rows,
            "rowsOfActions": ridges.rows.tolist(),
            "seconds": time.perf_counter() - begun,
        }
        return LinearBanditModel(
            data.schema.state,
            label,
            summary,
            {"gram": ridges.gram, "moment": ridges.moment},
            exploration=self.getOrDefault(self.exploration),
            kind=self._kind,
        )


class LinUCB(_LinearBandit):
    """Takes the action whose reward may be the largest: mean plus standard deviations.

    The reward of each action is linear in the state, with coefficients by ridge regression from
    its own rows: ``A = alpha I + Σ x xᵀ`` and ``b = Σ reward x`` over all shards, without rounding,
    so that they are the same to the bit for any number of shards. The action is the first with the
    largest ``x·θ + exploration sqrt(xᵀ A⁻¹ x)``, ``θ = A⁻¹ b``. Fitted on the log of the decisions
    so far, again and again, it is the published algorithm in batches. Features that are missing
    count as 0.

    Parameters
    ----------
    exploration : float, default=1.0
    alpha : float, default=1.0
    stateCols, actionCol, rewardCol, weightCol, actions : str or list
        The columns of the log: what was known, what was chosen, what it brought. With `actions`,
        also those that were never chosen.
    numShards, memoryPerTask, shardsDir, seed
        As for `Transitions`.
    qValuesCol, chosenActionCol, actionProbabilityCol : str
        Columns that the model adds.

    References
    ----------
    Li, Chu, Langford, Schapire (2010), "A contextual-bandit approach to personalized news article
    recommendation", WWW (disjoint linear models).

    Examples
    --------
    >>> rows = [(float(x), a, float(x if a == "b" else 1 - x)) for x in (0, 1) for a in "ab"] * 20
    >>> log = spark.createDataFrame(rows, "x double, action string, reward double")
    >>> model = LinUCB(stateCols=["x"], exploration=0.1).fit(log)
    >>> model.act([0.0]), model.act([1.0])
    ('a', 'b')
    """

    _kind = "optimism"

    @constructor
    def __init__(
        self,
        *,
        exploration: float = 1.0,
        alpha: float = 1.0,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...


class LinearThompsonSampling(_LinearBandit):
    """Takes each action as often as it is the best one for a draw from the posterior.

    The posterior of an action's coefficients is normal, with mean ``θ = A⁻¹ b`` and covariance
    ``exploration² A⁻¹`` from the sums of `LinUCB`. The model's probabilities are those with which
    an action is the best, by numerical integration: act by them, and log them as `behaviorProb`.

    Parameters
    ----------
    exploration : float, default=1.0
        Standard deviation of a reward's noise.
    alpha : float, default=1.0
        Precision of the prior of coefficients, in units of the noise's.
    stateCols, actionCol, rewardCol, weightCol, actions : str or list
    numShards, memoryPerTask, shardsDir, seed
    qValuesCol, chosenActionCol, actionProbabilityCol : str
        As for `LinUCB`.

    References
    ----------
    Agrawal, Goyal (2013), "Thompson sampling for contextual bandits with linear payoffs", ICML.

    Examples
    --------
    >>> rows = [(float(x), a, float(x if a == "b" else 1 - x)) for x in (0, 1) for a in "ab"] * 20
    >>> log = spark.createDataFrame(rows, "x double, action string, reward double")
    >>> model = LinearThompsonSampling(stateCols=["x"], exploration=0.5).fit(log)
    >>> bool(model.probabilities([[0.5]])[0].min() > 0.2)
    True
    """

    _kind = "sampling"

    @constructor
    def __init__(
        self,
        *,
        exploration: float = 1.0,
        alpha: float = 1.0,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...
