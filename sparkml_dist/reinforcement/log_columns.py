"""Finds the roles of a log's columns, its actions and its state features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import resolve_columns
from sparkml_dist.dataset.hashable import hashable
from sparkml_dist.dataset.hashing import salt
from sparkml_dist.dataset.labels import Label, class_column
from sparkml_dist.dataset.many_columns import named_column, number_array
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.statistics import category_lists, feature_columns, row_statistics
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.reinforcement.transition_schema import TransitionSchema

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["LogColumns"]

_MOST_ACTIONS = 10_000


@dataclass(frozen=True)
class LogColumns:
    """The columns of a log by their roles, as they are named by the caller; see `Transitions`."""

    state: tuple[str, ...]
    action: tuple[str, ...]
    reward: str
    episode: tuple[str, ...] = ()
    step: str | None = None
    terminated: str | None = None
    truncated: str | None = None
    next_state: tuple[str, ...] = ()
    behavior_prob: str | None = None
    discount: str | None = None
    weight: str | None = None
    available: str | None = None
    continuous: bool = False

    def optional(self) -> dict[str, str]:
        """Return the names of the columns that a log need not have, by role."""
        found = {
            "step": self.step,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "behaviorProb": self.behavior_prob,
            "discount": self.discount,
            "weight": self.weight,
            "availableActions": self.available,
        }
        return {role: name for role, name in found.items() if name is not None}

    def check(self, df: DataFrame) -> None:
        """Raise for what the schema of a table shows to be wrong, before any job.

        Raises
        ------
        ConfigurationError
            ``conflicting_params``, ``column_twice``, ``invalid_param``.
        DataError
            ``column_not_found``, ``duplicate_columns``, ``column_type``.
        """
        if bool(self.episode) != bool(self.step):
            raise ConfigurationError(
                "conflicting_params",
                "Give both episode and step, or neither of them.",
                "Rows are put in order by step within an episode; a table without them needs the "
                "columns of the next state.",
            )
        if not self.episode and not self.next_state:
            raise ConfigurationError(
                "conflicting_params",
                "Neither episode and step nor nextState is given.",
                "The next state is that of the next row of an episode, or has columns of its own.",
            )
        if self.next_state and len(self.next_state) != len(self.state):
            raise ConfigurationError(
                "conflicting_params",
                f"state has {len(self.state)} columns, but nextState {len(self.next_state)}.",
                "Name the same columns in the same order.",
            )
        if not self.state or not self.action:
            raise ConfigurationError("invalid_param", "state and action must name columns.")
        if len(self.action) > 1 and not self.continuous:
            raise ConfigurationError(
                "invalid_param",
                f"action names {len(self.action)} columns.",
                "An action of a list is one column; pass continuous=True for actions of numbers.",
            )
        roles = {"state": self.state, "nextState": self.next_state, "action": self.action}
        named = [(n, role) for role, names in roles.items() for n in names]
        named += [(self.reward, "reward"), *((n, role) for role, n in self.optional().items())]
        self._check_names(df, [*named, *((n, "episode") for n in self.episode)])
        seen: dict[str, str] = {}
        for name, role in named:
            # A policy may look at the step, and a log may use one column for several ends.
            if role in ("step", "truncated", "terminated"):
                continue
            if name in seen:
                raise ConfigurationError(
                    "column_twice", f"{name!r} cannot be both {seen[name]} and {role}."
                )
            seen[name] = role
        self._check_types(df)

    def _check_names(self, df: DataFrame, named: Sequence[tuple[str, str]]) -> None:
        for name, role in named:
            if name not in df.columns:
                raise DataError(
                    "column_not_found",
                    f"There is no column {name!r} for {role}.{nearest(name, df.columns)}",
                    f"Columns are: {', '.join(df.columns[:12])}.",
                )
        refuse_ambiguous(df, [name for name, _ in named])

    def _check_types(self, df: DataFrame) -> None:
        from pyspark.sql.types import (
            ArrayType,
            BooleanType,
            DateType,
            NumericType,
            TimestampNTZType,
            TimestampType,
        )

        number: tuple[Any, ...] = (NumericType, BooleanType)
        numeric = self.action if self.continuous else ()
        wanted: dict[str | None, tuple[str, tuple[Any, ...], str]] = {
            self.reward: ("reward", (NumericType,), "numbers"),
            self.terminated: ("terminated", number, "booleans, or 0 and 1"),
            self.truncated: ("truncated", number, "booleans, or 0 and 1"),
            self.behavior_prob: ("behaviorProb", (NumericType,), "probabilities"),
            self.discount: ("discount", (NumericType,), "numbers"),
            self.weight: ("weight", number, "numbers"),
            self.available: ("availableActions", (ArrayType,), "arrays of actions"),
            self.step: (
                "step",
                (NumericType, TimestampType, TimestampNTZType, DateType),
                "numbers, times or dates",
            ),
            **dict.fromkeys(numeric, ("action", (NumericType,), "numbers")),
        }
        for name, (role, kinds, what) in wanted.items():
            if name is not None and not isinstance(df.schema[name].dataType, kinds):
                found = df.schema[name].dataType.simpleString()
                raise DataError(
                    "column_type",
                    f"The column {name!r} for {role} must hold {what}. Got {found}.",
                    "Cast it.",
                )

    def acting(self, df: DataFrame) -> DataFrame:
        """Return the rows with an action: the last row of an episode may have none."""
        if not self.episode:
            return df
        condition = named_column(self.action[0]).isNotNull()
        for name in self.action[1:]:
            condition = condition & named_column(name).isNotNull()
        return df.where(condition)

    def survey(
        self, df: DataFrame, actions: Sequence[Any] | None
    ) -> tuple[TransitionSchema, int, float]:
        """Return the schema of the transitions, the rows of the log and the bytes of one.

        The rows are read once for reward and weight, once for the list of actions unless it is
        given, and once for states of strings, if there are any.

        Raises
        ------
        DataError
            Those of `row_statistics`, `feature_columns` and `category_lists`;
            ``reward_not_finite``, ``too_many_actions``.
        """
        from pyspark.sql.types import StringType

        strings = [n for n in self.state if isinstance(df.schema[n].dataType, StringType)]
        plan = resolve_columns(
            df,
            label=self.reward,
            features=list(self.state),
            weight=self.weight,
            categorical=strings,
            task="regression",
        )
        acting = self.acting(df)
        with job_description(df.sparkSession, "sparkml_dist: inspect the log"):
            try:
                statistics = row_statistics(acting, plan)
            except DataError as error:
                if error.code in ("label_null", "label_infinite"):
                    raise DataError(
                        "reward_not_finite",
                        error.message.replace("label column", "reward column"),
                        "Rewards are finite numbers; fill in what is missing, or drop those rows.",
                    ) from error
                raise
            columns, _, _ = feature_columns(df, plan.features)
            state = FeatureSchema.build(columns, sparse=False, precision="float64")
            state = state.with_categories(self._categories(df, strings))
            action = None if self.continuous else self._action(acting, actions, strings)
        by_name = {c.name: c for c in state.columns}
        state = replace(state, columns=tuple(by_name[n] for n in self.state))
        schema = TransitionSchema(
            state,
            action,
            self.action if self.continuous else (),
            self.reward,
            {**self.optional(), **({"episode": ", ".join(self.episode)} if self.episode else {})},
            self.next_state,
        )
        return schema, statistics.rows, 8.0 * len(schema.names)

    def _categories(self, df: DataFrame, strings: Sequence[str]) -> dict[str, tuple[str, ...]]:
        if not strings:
            return {}
        rows = df.select(*[named_column(n) for n in strings])
        if self.next_state:
            pairs = dict(zip(self.state, self.next_state, strict=True))
            rows = rows.union(df.select(*[named_column(pairs[n]).alias(n) for n in strings]))
        return category_lists(rows, list(strings))

    def _action(
        self, acting: DataFrame, actions: Sequence[Any] | None, strings: Sequence[str]
    ) -> Label:
        name = self.action[0]
        kind = resolve_columns(
            acting, label=name, features=list(self.state), categorical=strings
        ).label_kind
        if actions is not None:
            given = Label(name, kind, tuple(actions))
            found = given.class_array().to_pylist()
        else:
            values = acting.select(class_column(name, kind).alias("action")).distinct()
            found = [r["action"] for r in values.limit(_MOST_ACTIONS + 1).collect()]
        if len(found) > _MOST_ACTIONS:
            raise DataError(
                "too_many_actions",
                f"The action column {name!r} has more than {_MOST_ACTIONS:,} values.",
                "Group them; or pass continuous=True for actions that are numbers.",
            )
        if any(a is None or a != a for a in found):  # NaN
            raise DataError("action_null", f"The action column {name!r} holds NaN or null.")
        if len(set(found)) != len(found):
            raise ConfigurationError("invalid_param", "actions must differ from each other.")
        return Label(name, kind, Label.sort_classes(found))

    def episode_key(self, df: DataFrame, seed: int) -> Column:
        """Return the hash of a row's episode; of the whole row where the log has none."""
        from pyspark.sql import functions as F

        identity = self.episode or tuple(df.columns)
        parts = [hashable(named_column(n), df.schema[n].dataType) for n in identity]
        start = F.lit(salt("episode")).cast("long")
        return F.xxhash64(start, F.lit(seed).cast("long"), *parts)

    def carried(self, df: DataFrame, schema: TransitionSchema, seed: int) -> list[Column]:
        """Return the columns that go to the writers of shards, in the order of `LogReader`."""
        from pyspark.sql import functions as F

        no_episode = F.lit(False)
        for name in self.episode:
            no_episode = no_episode | named_column(name).isNull()
        found = [
            self.episode_key(df, seed).alias("_episode"),
            self._step(df).alias("_step"),
            no_episode.alias("_lost"),
            _flag(self.terminated).alias("_terminated"),
            _flag(self.truncated).alias("_truncated"),
            named_column(self.reward).cast("double").alias("_reward"),
        ]
        if schema.action is None:
            found.append(number_array(self.action, "double", null_is_nan=True).alias("_action"))
        else:
            found.append(class_column(self.action[0], schema.action.kind).alias("_action"))
        found += [
            named_column(schema.columns[role]).cast("double").alias(f"_{role}")
            for role in ("behaviorProb", "discount", "weight")
            if role in schema.columns
        ]
        if self.available:
            found.append(named_column(self.available).alias("_available"))
        found += [c.alias(f"_state{i}") for i, c in enumerate(schema.state.transport())]
        if self.next_state:
            known = F.lit(True)
            for name in self.next_state:
                known = known & named_column(name).isNotNull()
            found.append(known.alias("_hasNext"))
            found += [c.alias(f"_next{i}") for i, c in enumerate(self._next(df, schema))]
        return found

    def _step(self, df: DataFrame) -> Column:
        from pyspark.sql import functions as F
        from pyspark.sql.types import DateType, FractionalType, IntegralType

        if self.step is None:
            return F.lit(0).cast("long")
        column, kind = named_column(self.step), df.schema[self.step].dataType
        if isinstance(kind, IntegralType):
            return column.cast("long")
        if isinstance(kind, FractionalType):
            return column.cast("double")
        if isinstance(kind, DateType):
            return F.unix_date(column).cast("long")
        return F.unix_micros(column.cast("timestamp"))

    def whole_steps(self, df: DataFrame) -> bool:
        """Tell whether steps are whole numbers, so that one can be missing."""
        from pyspark.sql.types import IntegralType

        return self.step is not None and isinstance(df.schema[self.step].dataType, IntegralType)

    def _next(self, df: DataFrame, schema: TransitionSchema) -> list[Column]:
        """Return the transported columns of the next state; vectors that are null are filled."""
        from pyspark.sql import functions as F

        wide = {
            n: s
            for n, s, c in zip(self.next_state, self.state, schema.state.columns, strict=True)
            if c.kind not in ("numeric", "categorical")
        }
        if not wide:
            return schema.next_schema.transport()
        # A null vector cannot be encoded; _hasNext tells that it is not a next state.
        return [
            F.coalesce(own, other)
            for own, other in zip(
                schema.next_schema.transport(), schema.state.transport(), strict=True
            )
        ]


def _flag(name: str | None) -> Column:
    from pyspark.sql import functions as F

    if name is None:
        return F.lit(False)
    return F.coalesce(named_column(name).cast("boolean"), F.lit(False))
