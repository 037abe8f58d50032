"""Q-learning, SARSA, expected SARSA and double Q-learning along a log, as in textbooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.tabular.batch_q_learning import HasCells
from sparkml_dist.reinforcement.tabular.log_updates import (
    Rule,
    Updates,
    distinct_states,
    learn_along,
)
from sparkml_dist.reinforcement.tabular.q_table_model import QTableModel
from sparkml_dist.reinforcement.tabular.state_table import StateTable
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SARSA", "DoubleQLearning", "ExpectedSARSA", "QLearning"]


class LogLearner(HasCells):
    """Base of the learners that update values row by row: one task reads all shards in order."""

    learningRate: Any = param(
        "learningRate", "step size of the first update of a pair, in (0, 1]", TypeConverters.toFloat
    )
    rateDecay: Any = param(
        "rateDecay",
        "the n-th update of a pair has the step size learningRate / n^rateDecay, in [0, 1]; with 1 "
        "and a rate of 1 a value is the mean of its targets",
        TypeConverters.toFloat,
    )
    initialValue: Any = param(
        "initialValue", "value of every pair at first", TypeConverters.toFloat
    )
    epochs: Any = param("epochs", "passes over the log (>= 1)", TypeConverters.toInt)

    _rule: ClassVar[Rule]

    def _check(self, spark: SparkSession) -> None:
        self._check_cells()
        rate, decay = self.getOrDefault(self.learningRate), self.getOrDefault(self.rateDecay)
        if not (0 < rate <= 1 and 0 <= decay <= 1):
            raise ConfigurationError(
                "invalid_param",
                f"learningRate must be in (0, 1], and rateDecay in [0, 1]. Got {rate} and {decay}.",
            )
        if self.getOrDefault(self.epochs) < 1:
            raise ConfigurationError("invalid_param", "epochs must be at least 1.")
        if not 0 <= self._epsilon() <= 1:
            raise ConfigurationError("invalid_param", "epsilon must be in [0, 1].")

    def _epsilon(self) -> float:
        return 0.0

    def _fit_transitions(self, spark: SparkSession, data: TransitionDataset) -> QTableModel:
        cells = self._cells(spark, data)
        updates = Updates(
            self._rule,
            self.getOrDefault(self.learningRate),
            self.getOrDefault(self.rateDecay),
            self.getOrDefault(self.discount),
            self._epsilon(),
            self.getOrDefault(self.initialValue),
            self.getOrDefault(self.epochs),
            self.getOrDefault(self.seed),
        )
        home = temporary_folder(spark, "values", "shardsDir")

        def learn(_: int) -> dict[str, Any]:
            table = StateTable(distinct_states(data, cells))
            found = learn_along(data, table, cells, updates)
            for name, array in {"states": table.states, **found}.items():
                write_array(home, f"{name}.npy", array)
            return {"names": ["states", *found]}

        try:
            outcome = run_tasks(spark, [0], learn, description="learn along the log")[0]
            if outcome.error:
                raise outcome.error
            arrays = {n: read_array(home, f"{n}.npy") for n in outcome.result["names"]}
        finally:
            home.delete()
        label = data.schema.action
        assert label is not None
        summary = {
            "states": len(arrays["states"]),
            "actions": len(label.classes),
            "transitions": data.summary["transitions"],
            "epochs": updates.epochs,
            "discount": updates.discount,
            "seconds": {"learning": round(outcome.seconds, 3)},
        }
        model = QTableModel(data.schema.state, label, summary, arrays, cells)
        model.summary["start_value"] = model.startValue
        return model


class QLearning(LogLearner):
    """Q-learning along a log: each update looks at the best next action.

    One task reads all rows in order: for comparison with textbooks, and for logs that one task
    can read. `BatchQLearning` finds the same values exactly.

    Parameters
    ----------
    learningRate, rateDecay : float, default=0.1, 0.0
        The n-th update of a pair moves its value by ``learningRate / n ** rateDecay`` of the way to
        its target.
    initialValue : float, default=0.0
        Value of every pair at first.
    epochs : int, default=1
        Passes over the log, in the order of the episodes' seeded hashes and of their steps.
    discretizer, numCells : str, int
        Cells of continuous states; see `BatchQLearning`.
    discount : float, default=0.99
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol : str or list of str
    truncatedCol, nextStateCols, discountCol, actions, gaps : str or list
        The columns of the log; see `Transitions`. Weights are counted, and do not change updates.

    References
    ----------
    Watkins and Dayan (1992), "Q-learning", Machine Learning 8.

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [("a", 0, 0.0, "go", 0.0, False), ("a", 1, 1.0, "go", 1.0, True)],
    ...     "run string, t int, at double, action string, reward double, over boolean",
    ... )
    >>> learner = QLearning(episodeCol="run", stepCol="t", stateCols=["at"],
    ...     terminatedCol="over", learningRate=0.5)
    >>> learner.fit(log).qValues([[1.0]]).tolist()
    [[0.5]]
    """

    _rule = "q"

    @constructor
    def __init__(
        self,
        *,
        learningRate: float = 0.1,
        rateDecay: float = 0.0,
        initialValue: float = 0.0,
        epochs: int = 1,
        discretizer: str | None = None,
        numCells: int = 10,
        discount: float = 0.99,
        episodeCol: str | None = None,
        stepCol: str | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        terminatedCol: str | None = None,
        truncatedCol: str | None = None,
        nextStateCols: Sequence[str] | None = None,
        behaviorProbCol: str | None = None,
        discountCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        gaps: str = "error",
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...


class SARSA(LogLearner):
    """SARSA along a log: each update looks at the next action that was taken.

    Learns the values of the policy that wrote the log. A row whose next action is not known is left
    out, unless it terminates.

    Parameters
    ----------
    learningRate, rateDecay : float, default=0.1, 0.0
        The n-th update of a pair moves its value by ``learningRate / n ** rateDecay`` of the way to
        its target.
    initialValue : float, default=0.0
        Value of every pair at first.
    epochs : int, default=1
        Passes over the log, in the order of the episodes' seeded hashes and of their steps.
    discretizer, numCells : str, int
        Cells of continuous states; see `BatchQLearning`.
    discount : float, default=0.99
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol : str or list of str
    truncatedCol, nextStateCols, discountCol, actions, gaps : str or list
        The columns of the log; see `Transitions`. Weights are counted, and do not change updates.

    References
    ----------
    Rummery and Niranjan (1994), "On-line Q-learning using connectionist systems".

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [("a", 0, 0.0, "go", 0.0, False), ("a", 1, 1.0, "go", 1.0, True)],
    ...     "run string, t int, at double, action string, reward double, over boolean",
    ... )
    >>> learner = SARSA(episodeCol="run", stepCol="t", stateCols=["at"],
    ...     terminatedCol="over", learningRate=0.5)
    >>> learner.fit(log).qValues([[1.0]]).tolist()
    [[0.5]]
    """

    _rule = "sarsa"

    @constructor
    def __init__(
        self,
        *,
        learningRate: float = 0.1,
        rateDecay: float = 0.0,
        initialValue: float = 0.0,
        epochs: int = 1,
        discretizer: str | None = None,
        numCells: int = 10,
        discount: float = 0.99,
        episodeCol: str | None = None,
        stepCol: str | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        terminatedCol: str | None = None,
        truncatedCol: str | None = None,
        nextStateCols: Sequence[str] | None = None,
        behaviorProbCol: str | None = None,
        discountCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        gaps: str = "error",
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...


class ExpectedSARSA(LogLearner):
    """Expected SARSA along a log: each update looks at the mean over next actions.

    The mean is that of the ε-greedy policy of the values so far.

    Parameters
    ----------
    learningRate, rateDecay : float, default=0.1, 0.0
        The n-th update of a pair moves its value by ``learningRate / n ** rateDecay`` of the way to
        its target.
    initialValue : float, default=0.0
        Value of every pair at first.
    epochs : int, default=1
        Passes over the log, in the order of the episodes' seeded hashes and of their steps.
    epsilon : float, default=0.1
        Share of random actions in the policy whose values are learnt.
    discretizer, numCells : str, int
        Cells of continuous states; see `BatchQLearning`.
    discount : float, default=0.99
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol : str or list of str
    truncatedCol, nextStateCols, discountCol, actions, gaps : str or list
        The columns of the log; see `Transitions`. Weights are counted, and do not change updates.

    References
    ----------
    van Seijen, van Hasselt, Whiteson, Wiering (2009), "A theoretical and empirical analysis of
    expected Sarsa".

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [("a", 0, 0.0, "go", 0.0, False), ("a", 1, 1.0, "go", 1.0, True)],
    ...     "run string, t int, at double, action string, reward double, over boolean",
    ... )
    >>> learner = ExpectedSARSA(episodeCol="run", stepCol="t", stateCols=["at"],
    ...     terminatedCol="over", learningRate=0.5)
    >>> learner.fit(log).qValues([[1.0]]).tolist()
    [[0.5]]
    """

    _rule = "expected"

    epsilon: Any = param(
        "epsilon", "share of random actions in the policy, in [0, 1]", TypeConverters.toFloat
    )

    @constructor
    def __init__(
        self,
        *,
        learningRate: float = 0.1,
        rateDecay: float = 0.0,
        initialValue: float = 0.0,
        epochs: int = 1,
        epsilon: float = 0.1,
        discretizer: str | None = None,
        numCells: int = 10,
        discount: float = 0.99,
        episodeCol: str | None = None,
        stepCol: str | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        terminatedCol: str | None = None,
        truncatedCol: str | None = None,
        nextStateCols: Sequence[str] | None = None,
        behaviorProbCol: str | None = None,
        discountCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        gaps: str = "error",
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...

    def _epsilon(self) -> float:
        return float(self.getOrDefault(self.epsilon))


class DoubleQLearning(LogLearner):
    """Double Q-learning along a log: one table chooses the next action, another one values it.

    A coin, which is a function of row and seed, tells which of the two tables an update changes;
    the values are their mean.

    Parameters
    ----------
    learningRate, rateDecay : float, default=0.1, 0.0
        The n-th update of a pair moves its value by ``learningRate / n ** rateDecay`` of the way to
        its target.
    initialValue : float, default=0.0
        Value of every pair at first.
    epochs : int, default=1
        Passes over the log, in the order of the episodes' seeded hashes and of their steps.
    discretizer, numCells : str, int
        Cells of continuous states; see `BatchQLearning`.
    discount : float, default=0.99
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol : str or list of str
    truncatedCol, nextStateCols, discountCol, actions, gaps : str or list
        The columns of the log; see `Transitions`. Weights are counted, and do not change updates.

    References
    ----------
    van Hasselt (2010), "Double Q-learning", NeurIPS.

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [("a", 0, 0.0, "go", 0.0, False), ("a", 1, 1.0, "go", 1.0, True)],
    ...     "run string, t int, at double, action string, reward double, over boolean",
    ... )
    >>> learner = DoubleQLearning(episodeCol="run", stepCol="t", stateCols=["at"],
    ...     terminatedCol="over", learningRate=0.5)
    >>> learner.fit(log).qValues([[1.0]]).tolist()
    [[0.25]]
    """

    _rule = "double"

    @constructor
    def __init__(
        self,
        *,
        learningRate: float = 0.1,
        rateDecay: float = 0.0,
        initialValue: float = 0.0,
        epochs: int = 1,
        discretizer: str | None = None,
        numCells: int = 10,
        discount: float = 0.99,
        episodeCol: str | None = None,
        stepCol: str | None = None,
        stateCols: Sequence[str] | None = None,
        actionCol: str = "action",
        rewardCol: str = "reward",
        terminatedCol: str | None = None,
        truncatedCol: str | None = None,
        nextStateCols: Sequence[str] | None = None,
        behaviorProbCol: str | None = None,
        discountCol: str | None = None,
        weightCol: str | None = None,
        actions: Sequence[Any] | None = None,
        gaps: str = "error",
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        qValuesCol: str = "qValues",
        chosenActionCol: str = "action",
        actionProbabilityCol: str = "actionProbability",
        seed: int = 0,
    ) -> None: ...
