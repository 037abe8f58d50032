"""Exact Q-learning from all rows of a log: counts on Spark, then dynamic programming."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.dataset.categories import category_codes, category_list
from sparkml_dist.dataset.columns import resolve_columns
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.log_columns import LogColumns
from sparkml_dist.reinforcement.policy_estimator import PolicyEstimator
from sparkml_dist.reinforcement.tabular.cells import Cells
from sparkml_dist.reinforcement.tabular.decision_process import DecisionProcess, Groups
from sparkml_dist.reinforcement.tabular.grouped_counts import (
    Counted,
    count_log,
    count_transitions,
    exactly,
    missing_state,
)
from sparkml_dist.reinforcement.tabular.iteration import (
    Solution,
    action_values,
    completed,
    policy_evaluation,
    solve,
    unseen_value,
)
from sparkml_dist.reinforcement.tabular.q_table_model import QTableModel
from sparkml_dist.reinforcement.tabular.sampled_cells import sampled_cells
from sparkml_dist.reinforcement.tabular.shard_process import ShardProcess
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["BatchQLearning", "HasCells"]


class HasCells(PolicyEstimator):
    """Base of the tabular learners, which may put continuous states into cells."""

    discretizer: Any = param(
        "discretizer",
        "cells of continuous states: 'quantile' (bins of each feature), 'kmeans' (nearest centre) "
        "or 'tree' (leaves of a tree that predicts returns); every state is its own when not set",
        TypeConverters.toString,
    )
    numCells: Any = param(
        "numCells", "bins of a feature, or centres, or leaves (>= 2)", TypeConverters.toInt
    )

    def _check_cells(self) -> None:
        kind = self._value(self.discretizer)
        if kind not in (None, "quantile", "kmeans", "tree"):
            raise ConfigurationError(
                "invalid_param",
                f"discretizer must be 'quantile', 'kmeans' or 'tree'. Got {kind!r}.",
            )
        if (number := self.getOrDefault(self.numCells)) < 2:
            raise ConfigurationError("invalid_param", f"numCells must be at least 2. Got {number}.")

    def _cells(self, spark: SparkSession, data: TransitionDataset) -> Cells | None:
        if data.schema.action is None:
            raise ConfigurationError(
                "invalid_param",
                f"{type(self).__name__} needs a list of actions, and the log's are numbers.",
                "Make the transitions without continuous=True.",
            )
        kind = self._value(self.discretizer)
        if kind is None:
            return None
        discount, seed = self.getOrDefault(self.discount), self.getOrDefault(self.seed)
        return sampled_cells(spark, data, kind, self.getOrDefault(self.numCells), discount, seed)


class BatchQLearning(HasCells):
    """Learns the values of actions exactly, from the counts of all transitions.

    One grouped count on Spark gives, for each state and action, the mean reward and how often each
    next state followed. Value, policy or modified policy iteration on the driver then finds
    the values of the best policy of this decision process. The sums are exact in any order, so that
    the values are the same to the bit for any number of shards and tasks.

    Rows whose next state is not known (the last one of an episode that was cut off) are left
    out. A state that the log reaches but never leaves has the value `unseenValue`; by default a
    lower bound, that of earning the least reward for ever.

    Parameters
    ----------
    method : {"modified", "policy", "value"}, default="modified"
        How the values are found; with `pessimism`, or without a discount below 1, by the sweeps of
        value iteration in place of the exact solution for each policy.
    pessimism : float, default=0.0
        ``pessimism / sqrt(rows)`` is subtracted from the value of each action, in the units of
        returns: a lower confidence bound, which keeps away from actions that the log hardly knows.
    unseenValue : float, optional
        Value of actions that a state's rows never take, and of states that the log never leaves.
        By default such actions are excluded.
    tol : float, default=1e-10
        Largest error of a value, relative to the largest one where it is more than 1.
    maxIter : int, default=100000
        Largest number of sweeps.
    form : {"driver", "jobs"}, default="driver"
        Who forms the sums of a sweep: the driver, which then holds all groups; or Spark jobs over
        the shards, by value iteration, for logs with more groups than the driver's memory holds.
        The driver holds the states and their values either way.
    discretizer, numCells : str, int
        Cells of continuous states.
    discount : float, default=0.99
        Discount of future rewards, in [0, 1]. With 1, every state must be able to reach an end.
    episodeCol, stepCol, stateCols, actionCol, rewardCol, terminatedCol : str or list of str
    truncatedCol, nextStateCols, discountCol, weightCol, actions, gaps : str or list
        The columns of the log; see `Transitions`. With `nextStateCols`, and neither episodes nor
        cells, the table is counted as it is, without a shuffle of its rows.

    Raises
    ------
    ConfigurationError
        ``invalid_param``, ``endless_episodes``, ``unseen_states``.
    DataError
        Those of `Transitions`; ``state_missing``.

    References
    ----------
    Rashidinejad, Zhu, Ma, Jiao, Russell (2021), "Bridging offline reinforcement learning and
    imitation learning: a tale of pessimism", NeurIPS (the penalty by counts).

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [(0.0, "go", 0.0, 1.0, False), (1.0, "go", 1.0, 0.0, True),
    ...      (0.0, "stop", 0.25, 0.0, True)],
    ...     "at double, action string, reward double, then double, over boolean",
    ... )
    >>> learner = BatchQLearning(stateCols=["at"], nextStateCols=["then"], terminatedCol="over",
    ...                          discount=0.5)
    >>> model = learner.fit(log)
    >>> model.act(0.0), model.qValues([[0.0]]).tolist()
    ('go', [[0.5, 0.25]])
    """

    method: Any = param(
        "method", "'modified', 'policy' or 'value' iteration", TypeConverters.toString
    )
    pessimism: Any = param(
        "pessimism",
        "pessimism / sqrt(rows) is subtracted from each action's value (>= 0)",
        TypeConverters.toFloat,
    )
    unseenValue: Any = param(
        "unseenValue",
        "value of actions and states that the log does not have",
        TypeConverters.toFloat,
    )
    form: Any = param(
        "form",
        "who forms the sums of a sweep: the 'driver', or Spark 'jobs' over the shards",
        TypeConverters.toString,
    )
    tol: Any = param("tol", "largest error of a value (> 0)", TypeConverters.toFloat)
    maxIter: Any = param("maxIter", "largest number of sweeps (>= 1)", TypeConverters.toInt)

    @constructor
    def __init__(
        self,
        *,
        method: str = "modified",
        pessimism: float = 0.0,
        unseenValue: float | None = None,
        tol: float = 1e-10,
        maxIter: int = 100_000,
        form: str = "driver",
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

    def _check(self, spark: SparkSession) -> None:
        self._check_cells()
        method, pessimism = self.getOrDefault(self.method), self.getOrDefault(self.pessimism)
        if method not in ("modified", "policy", "value"):
            raise ConfigurationError(
                "invalid_param",
                f"method must be 'modified', 'policy' or 'value'. Got {method!r}.",
            )
        form = self.getOrDefault(self.form)
        if form not in ("driver", "jobs"):
            raise ConfigurationError(
                "invalid_param", f"form must be 'driver' or 'jobs'. Got {form!r}."
            )
        if form == "jobs" and self.getOrDefault(self.discount) == 1:
            raise ConfigurationError(
                "invalid_param",
                "form='jobs' needs a discount below 1.",
                "Use form='driver', or a discount such as 0.999.",
            )
        if not pessimism >= 0:
            raise ConfigurationError(
                "invalid_param", f"pessimism must be at least 0. Got {pessimism}."
            )
        if not self.getOrDefault(self.tol) > 0 or self.getOrDefault(self.maxIter) < 1:
            raise ConfigurationError(
                "invalid_param", "tol must be greater than 0, and maxIter at least 1."
            )

    def _fit_log(self, spark: SparkSession, df: DataFrame) -> QTableModel:
        options = self._log_options()
        columns = LogColumns(
            state=tuple(options["state"]),
            action=(options["action"],),
            reward=options["reward"],
            episode=(options["episode"],) if options["episode"] else (),
            step=options["step"],
            terminated=options["terminated"],
            truncated=options["truncated"],
            next_state=tuple(options["nextState"] or ()),
            behavior_prob=options["behaviorProb"],
            discount=options["discount"],
            weight=options["weight"],
        )
        columns.check(df)
        plain = columns.next_state and not columns.episode and not self.isSet(self.discretizer)
        plain = plain and self.getOrDefault(self.form) == "driver"
        if not plain or not _scalars(df, columns):
            found: QTableModel = super()._fit_log(spark, df)
            return found
        begun = time.perf_counter()
        plan = resolve_columns(
            df,
            label=columns.action[0],
            features=list(columns.state),
            categorical=[n for n in columns.state if _is_string(df, n)],
        )
        with job_description(spark, "sparkml_dist: count transitions"):
            names = ["r", *(["w"] if columns.weight else []), *(["d"] if columns.discount else [])]
            counted = exactly(count_log(df, columns, plan.label_kind), names)
        if not counted.table.num_rows:
            raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
        schema = _schema_of(counted, columns)
        label = _label_of(counted, columns.action[0], plan.label_kind, options["actions"])
        return self._solved(counted, schema, label, None, begun)

    def _fit_transitions(self, spark: SparkSession, data: TransitionDataset) -> QTableModel:
        begun = time.perf_counter()
        cells = self._cells(spark, data)
        if self.getOrDefault(self.form) == "jobs":
            return self._swept(spark, data, cells, begun)
        with job_description(spark, "sparkml_dist: count transitions"):
            names = ["r", *(["w"] if "weight" in data.schema.columns else [])]
            names += ["d"] if "discount" in data.schema.columns else []
            names += ["f"] if "w" in names else []
            counted = exactly(count_transitions(spark, data, cells), names)
        if not counted.table.num_rows:
            raise DataError(
                "empty_data",
                "No row of the log ends an episode or has a next state.",
                "Check terminated, episode and step.",
            )
        label = data.schema.action
        assert label is not None
        return self._solved(counted, data.schema.state, label, cells, begun)

    def _solved(
        self,
        counted: Counted,
        schema: FeatureSchema,
        label: Label,
        cells: Cells | None,
        begun: float,
    ) -> QTableModel:
        discount = self.getOrDefault(self.discount)
        counting = time.perf_counter() - begun
        groups = _groups(counted, schema, label, discount)
        process = DecisionProcess.of(groups, len(label.classes))
        given, pessimism = self._value(self.unseenValue), self.getOrDefault(self.pessimism)
        least = unseen_value(process.known, process.least_reward, discount, given)
        modulus = min(1.0, float(process.follow.sum(axis=1).max())) if len(process.table) else 0.0
        if modulus >= 1 - 1e-12 and not (ends := process.ends()).all():
            raise ConfigurationError(
                "endless_episodes",
                f"With a discount of 1, {int((~ends).sum()):,} of {len(ends):,} states never reach "
                "an end, so that their returns have no bound.",
                "Set a discount below 1, or mark the rows that terminate.",
            )
        values = action_values(process, pessimism=pessimism, unseen=given, least=least)
        method = self.getOrDefault(self.method)
        endless = modulus >= 1 - 1e-12
        solution = solve(
            values,
            len(process.table),
            1.0 if endless else modulus,
            between=None if endless else policy_evaluation(process, values, method),
            tol=self.getOrDefault(self.tol),
            max_iter=self.getOrDefault(self.maxIter),
        )
        if endless and not solution.converged and self.getOrDefault(self.maxIter) >= 100_000:
            raise ConfigurationError(
                "endless_episodes",
                "With a discount of 1, the values still grow after "
                f"{solution.iterations:,} sweeps: some episodes may go on for ever.",
                "Set a discount below 1.",
            )
        facts = {
            "transitions": int(counted.column("rows").sum()),
            "groups": counted.table.num_rows,
        }
        return self._model(schema, label, cells, process, solution, facts, (begun, counting))

    def _swept(
        self, spark: SparkSession, data: TransitionDataset, cells: Cells | None, begun: float
    ) -> QTableModel:
        """Return the model of value iteration by sums over shards."""
        discount, label = self.getOrDefault(self.discount), data.schema.action
        assert label is not None
        home = temporary_folder(spark, "states", "shardsDir")
        try:
            process = ShardProcess(spark, data, cells, discount, home)
            counting = time.perf_counter() - begun
            known, given = process.count > 0, self._value(self.unseenValue)
            means = process.reward[known]
            least = unseen_value(known, float(means.min(initial=0.0)), discount, given)
            pessimism = self.getOrDefault(self.pessimism)
            solution = solve(
                completed(process.values, process.count, pessimism, given, least),
                len(process.table),
                1 - 1e-12 if "discount" in data.schema.columns else discount,
                tol=self.getOrDefault(self.tol),
                max_iter=self.getOrDefault(self.maxIter),
            )
        finally:
            home.delete()
        facts = {"transitions": data.summary["transitions"]}
        return self._model(
            data.schema.state, label, cells, process, solution, facts, (begun, counting)
        )

    def _model(
        self,
        schema: FeatureSchema,
        label: Label,
        cells: Cells | None,
        process: DecisionProcess | ShardProcess,
        solution: Solution,
        facts: dict[str, Any],
        times: tuple[float, float],
    ) -> QTableModel:
        known = process.count > 0
        arrays = {
            "states": process.table.states,
            "q": solution.q,
            "count": process.count,
            "start": process.start,
        }
        begun, counting = times
        summary = {
            "states": len(process.table),
            "actions": len(label.classes),
            **facts,
            "unseen_pairs": int((~known[known.any(axis=1)]).sum()),
            "unseen_states": int((~known.any(axis=1)).sum()),
            "iterations": solution.iterations,
            "converged": solution.converged,
            "discount": self.getOrDefault(self.discount),
            "seconds": {
                "counting": round(counting, 3),
                "solving": round(time.perf_counter() - begun - counting, 3),
            },
        }
        model = QTableModel(schema, label, summary, arrays, cells)
        model.summary["start_value"] = model.startValue
        return model


def _groups(counted: Counted, schema: FeatureSchema, label: Label, discount: float) -> Groups:
    """Return the groups of a count, with states and actions as codes."""
    width = counted.width
    categories = [c.categories for c in schema.columns for _ in range(c.size)]
    done = counted.column("t").astype(bool)

    def matrix(head: str) -> Any:
        found = []
        for i in range(width):
            values = counted.key(f"{head}{i}")
            if isinstance(values, pa.Array):
                codes = category_codes(values, categories[i])
                values = codes.cast(pa.float64()).to_numpy(zero_copy_only=False)
            # The next state of what terminated has no meaning.
            found.append(np.where(done, 0.0, values) if head == "n" else values)
        return np.column_stack(found)

    state, follows = matrix("s"), matrix("n")
    if np.isnan(state).any() or np.isnan(follows).any():
        raise missing_state()
    actions = counted.column("a")
    if not (isinstance(actions, np.ndarray) and counted.table.schema.field("a").type == pa.int32()):
        raw = counted.table.column("a").combine_chunks()
        actions = label.encode(raw)
    rows = counted.column("rows").astype(np.float64)
    weight = counted.sums("w")
    weight = rows if weight is None else weight
    followed, first = counted.sums("d"), counted.sums("f")
    if first is None:  # of single transitions, every one is a first row
        first = counted.column("firsts").astype(np.float64) if weight is rows else weight
    return Groups(
        state=state,
        action=actions.astype(np.int64),
        next_state=follows,
        terminated=done,
        weight=weight,
        reward=counted.sums("r"),  # type: ignore[arg-type]
        discount=discount * weight if followed is None else followed,
        first=first,
    )


def _scalars(df: DataFrame, columns: LogColumns) -> bool:
    """Tell whether all states are numbers or strings, so that Spark can group by them."""
    from pyspark.sql.types import BooleanType, NumericType, StringType

    kinds = (NumericType, BooleanType, StringType)
    names = (*columns.state, *columns.next_state)
    return all(isinstance(df.schema[n].dataType, kinds) for n in names)


def _is_string(df: DataFrame, name: str) -> bool:
    from pyspark.sql.types import StringType

    return isinstance(df.schema[name].dataType, StringType)


def _schema_of(counted: Counted, columns: LogColumns) -> FeatureSchema:
    """Return the encoding of the state columns of a table that was counted as it is."""
    found = []
    for i, name in enumerate(columns.state):
        if not pa.types.is_string(counted.table.schema.field(f"s{i}").type):
            found.append(FeatureColumn(name, "numeric"))
            continue
        own = counted.table.column(f"s{i}")
        follows = counted.table.column(f"n{i}").filter(pc.invert(counted.table.column("t")))
        if own.null_count or follows.null_count:
            raise missing_state()
        texts = category_list([*pc.unique(own).to_pylist(), *pc.unique(follows).to_pylist()])
        found.append(FeatureColumn(name, "categorical", categories=texts))
    return FeatureSchema.build(found, sparse=False, precision="float64")


def _label_of(counted: Counted, name: str, kind: Any, actions: Sequence[Any] | None) -> Label:
    """Return the action column with the list of actions."""
    found = pc.unique(counted.table.column("a")).to_pylist()
    if any(a is None or a != a for a in found):
        raise DataError(
            "action_null",
            f"The action column {name!r} holds null or NaN.",
            "Drop those rows or fill them in.",
        )
    if actions is None:
        return Label(name, kind, Label.sort_classes(found))
    label = Label(name, kind, Label.sort_classes(list(actions)))
    strange = set(found) - set(label.class_array().to_pylist())
    if strange:
        raise DataError(
            "unknown_action",
            f"The action column {name!r} holds an action that is not one of the "
            f"{len(label.classes)}: {min(strange, key=str)!r}.",
            "Add it to actions, or drop those rows.",
        )
    return label
