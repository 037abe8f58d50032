"""Base of the fitted policies: they add values and actions to rows of states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.base import Model
from pyspark.ml.param import Params, TypeConverters

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.models.scoring import check_feature_columns, loaded
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.reinforcement.policy import LocalPolicy
from sparkml_dist.reinforcement.state_codes import coded_states
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["HasPolicyColumns", "PolicyModel"]

_ROWS_AT_ONCE = 8192
_MADE = "_sparkml_dist_policy"
_ACTION_TYPES = {
    "integer": "bigint",
    "number": "double",
    "string": "string",
    "boolean": "boolean",
}


class HasPolicyColumns(Params):
    """Names of the columns that a policy adds; an empty name omits a column."""

    qValuesCol: Any = param(
        "qValuesCol",
        "column for the values of all actions, a vector in the order of the list of actions",
        TypeConverters.toString,
    )
    chosenActionCol: Any = param(
        "chosenActionCol",
        "column for the action that the policy takes; it replaces a column of that name",
        TypeConverters.toString,
    )
    actionProbabilityCol: Any = param(
        "actionProbabilityCol",
        "column for the probability with which it takes that action",
        TypeConverters.toString,
    )


class PolicyModel(ShowsItself, Persistable, AccessibleParams, Model, HasPolicyColumns):
    """Base of the fitted policies over a list of actions.

    ``transform`` adds `qValuesCol`, a vector; `chosenActionCol`, the likeliest action, in the type
    of the logged ones; and `actionProbabilityCol`. It is itself a `Policy`.

    Attributes
    ----------
    schema : FeatureSchema
        Encoding of the state columns.
    label : Label
        The action column and the list of actions.
    summary : dict
        Facts about the fit.
    """

    _defaults: ClassVar[dict[str, Any]] = {
        "qValuesCol": "qValues",
        "chosenActionCol": "action",
        "actionProbabilityCol": "actionProbability",
    }

    def __init__(self, schema: FeatureSchema, label: Label, summary: dict[str, Any]) -> None:
        super().__init__()
        self.schema = schema
        self.label = label
        self.summary = summary

    @abstractmethod
    def to_local(self) -> LocalPolicy:
        """Return the policy in memory: picklable, it acts without Spark."""

    def _loader(self) -> Any:
        """Return a picklable function that returns the local policy in a worker, and its key.

        By default the local policy itself travels; a large one is better loaded from files there.
        """
        policy = self.to_local()
        return (lambda: policy), f"{self.uid}-{id(self)}"

    @property
    def actions(self) -> tuple[Any, ...]:
        """The list of actions."""
        return self.label.classes

    @property
    def numFeatures(self) -> int:
        """Number of features of a state."""
        return self.schema.n_features

    def probabilities(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of each action in states of shape (n, n_state): (n, n_actions).

        States are numbers, or the words of categories: ``[["cold", 1.5], ["warm", 0.0]]``.
        """
        return self.to_local().probabilities(coded_states(states, self.schema))

    def qValues(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the value of each action in states of shape (n, n_state): (n, n_actions).

        States are numbers, or the words of categories.
        """
        return self.to_local().q_values(coded_states(states, self.schema))

    def act(self, state: npt.ArrayLike, *, rng: np.random.Generator | None = None) -> Any:
        """Return the action to take in one state, without Spark; see `LocalPolicy.act`.

        Features are numbers, or the words of categories; the policy of `to_local` takes the
        position of a word in ``schema.columns[i].categories`` instead.
        """
        return self.to_local().act(coded_states(state, self.schema, one=True), rng=rng)

    def _state(self) -> dict[str, Any]:
        return {
            "features": self.schema.to_dict(),
            "label": self.label.to_dict(),
            "summary": self.summary,
        }

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import functions as F

        check_feature_columns(dataset, self.schema)
        schema, actions = self.schema, self.label.class_array()
        load, key = self._loader()
        cores, carried = SessionInfo.of(dataset.sparkSession).task_cpus, schema.n_transported
        width = len(actions)

        def choose(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            policy = loaded(key, load)
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    states: Any = schema.encode([batch.field(i) for i in range(carried)])
                    values = np.ascontiguousarray(policy.q_values(states), np.float64)
                    chances = policy.probabilities(states)
                    best = chances.argmax(axis=1)
                    offsets = np.arange(0, values.size + 1, width, dtype=np.int32)
                    yield pa.StructArray.from_arrays(
                        [
                            pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel())),
                            actions.take(pa.array(best)),
                            pa.array(chances[np.arange(len(best)), best]),
                        ],
                        ["values", "action", "chance"],
                    )

        kind = _ACTION_TYPES[self.label.kind]
        made = iterator_udf(choose, f"values: array<double>, action: {kind}, chance: double")
        column = F.col(_MADE)
        outputs = {
            self.getOrDefault(self.qValuesCol): array_to_vector(column["values"]),
            self.getOrDefault(self.chosenActionCol): column["action"],
            self.getOrDefault(self.actionProbabilityCol): column["chance"],
        }
        outputs.pop("", None)
        check_outputs(dataset, list(outputs))
        with_made = dataset.select("*", made(F.struct(*schema.transport())).alias(_MADE))
        return with_outputs(with_made, outputs, temporary=[_MADE])

    def _shown(self) -> Iterator[Row]:
        yield Row("state", code=list(self.schema.feature_names[:12]))
        yield Row("actions", code=[str(a) for a in self.actions[:12]])
        for name, value in self.summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield Row(name.replace("_", " "), f"{value:,.6g}")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.numFeatures:,} state features, "
            f"{len(self.actions):,} actions)"
        )
