"""Plays episodes of an environment in Spark tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.reinforcement.policy import Policy, UniformPolicy
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["action_list", "explore", "made_environment"]

Environment = str | Callable[[], Any]
_BATCH = 10_000


def explore(
    spark: SparkSession,
    environment: Environment,
    policy: Policy | None = None,
    *,
    episodes: int,
    firstEpisode: int = 0,
    maxSteps: int | None = None,
    tasks: int | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> DataFrame:
    """Return the transitions of episodes that tasks play, lazily.

    An episode is a function of its number and the seed: it is the same in any number of tasks,
    and after a retry.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    environment : str or callable
        Name of an environment of gymnasium, or a function that returns one, picklable. Its
        actions are a list, and its states a number or an array of numbers.
    policy : Policy, optional
        Who acts, drawn from its probabilities: an `EpsilonGreedy` or `Softmax` of a model, for
        example. At random by default.
    episodes : int
        Number of episodes.
    firstEpisode : int, default=0
        Number of the first one.
    maxSteps : int, optional
        An episode is cut off after so many steps; as the environment has it by default.
    tasks : int, optional
        Number of Spark tasks; two for each slot by default.
    options : mapping, optional
        Arguments of ``gymnasium.make``.
    seed : int, default=0

    Returns
    -------
    pyspark.sql.DataFrame
        ``episode`` (long), ``step`` (int), ``state`` (double, or an array of them), ``action``
        (long), ``reward``, ``nextState``, ``terminated``, ``truncated``, ``behaviorProb``.

    Raises
    ------
    ConfigurationError
        ``gymnasium_missing``, ``environment_unknown``, ``invalid_param``.
    ResourceError
        ``worker_packages``.

    Examples
    --------
    >>> log = explore(spark, "FrozenLake-v1", episodes=5, seed=1)
    >>> log.where("step = 0").count()
    5
    """
    for name, value in (("episodes", episodes), ("tasks", tasks), ("maxSteps", maxSteps)):
        if value is not None and value < 1:
            raise ConfigurationError("invalid_param", f"{name} must be at least 1. Got {value}.")
    given = dict(options or {})
    probe = made_environment(environment, given)
    actions = action_list(probe)
    shape = getattr(probe.observation_space, "shape", None) or ()
    is_array = len(shape) > 0
    if shape is None or (not is_array and not hasattr(probe.observation_space, "n")):
        raise ConfigurationError(
            "invalid_param",
            f"The states of {environment!r} are neither a number nor an array of numbers.",
            "Wrap it with gymnasium.wrappers.FlattenObservation.",
        )
    probe.close()
    who: Any = UniformPolicy(actions) if policy is None else policy
    if list(who.actions) != list(actions) and not set(who.actions) <= set(actions):
        raise ConfigurationError(
            "invalid_param",
            f"The policy has the actions {list(who.actions)[:8]}, the environment "
            f"{list(actions)[:8]}.",
        )
    check_workers(spark, ["gymnasium"])
    kind = "array<double>" if is_array else "double"
    schema = (
        f"episode bigint, step int, state {kind}, action bigint, reward double, "
        f"nextState {kind}, terminated boolean, truncated boolean, behaviorProb double"
    )

    def play(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        played = made_environment(environment, given)
        rows: list[tuple[Any, ...]] = []
        for batch in batches:
            for episode in batch.column(0).to_pylist():
                rows += _episode(played, who, episode, seed, maxSteps)
                if len(rows) >= _BATCH:
                    yield _batch(rows, is_array)
                    rows = []
        played.close()
        if rows:
            yield _batch(rows, is_array)

    number = tasks or 2 * (SessionInfo.of(spark).slots or 1)
    numbers = spark.range(firstEpisode, firstEpisode + episodes, 1, min(number, episodes))
    return numbers.mapInArrow(play, schema)


def made_environment(environment: Environment, options: Mapping[str, Any]) -> Any:
    """Return an environment.

    Raises
    ------
    ConfigurationError
        ``gymnasium_missing`` or ``environment_unknown``.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise ConfigurationError(
            "gymnasium_missing",
            "Environments need the package gymnasium, which is not installed.",
            "pip install 'sparkml_dist[reinforcement]'.",
        ) from error
    if not isinstance(environment, str):
        return environment(**options)
    try:
        return gymnasium.make(environment, **options)
    except gymnasium.error.Error as error:
        raise ConfigurationError(
            "environment_unknown",
            f"gymnasium does not make the environment {environment!r}: {error}",
            "See gymnasium.pprint_registry(); a function that returns an environment does as well.",
        ) from error


def action_list(environment: Any) -> tuple[int, ...]:
    """Return the actions of an environment.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` where they are not a list.
    """
    space = environment.action_space
    if not hasattr(space, "n") or getattr(space, "shape", ()) not in ((), None):
        raise ConfigurationError(
            "invalid_param",
            f"The actions of the environment are {space}, and not a list.",
            "Wrap it so that its action_space is Discrete.",
        )
    start = int(getattr(space, "start", 0))
    return tuple(range(start, start + int(space.n)))


def _episode(
    environment: Any, policy: Any, episode: int, seed: int, most: int | None
) -> list[tuple[Any, ...]]:
    """Return the rows of one episode."""
    rng = np.random.default_rng([seed, episode])
    state, _ = environment.reset(seed=int(rng.integers(2**31)))
    rows: list[tuple[Any, ...]] = []
    while True:
        features = np.asarray(state, np.float64).reshape(1, -1)
        chances = policy.probabilities(features)[0]
        chosen = int(rng.choice(len(chances), p=chances / chances.sum()))
        action = policy.actions[chosen]
        follows, reward, terminated, truncated, _ = environment.step(int(action))
        step = len(rows)
        truncated = bool(truncated) or (step + 1 == most)
        after = np.asarray(follows, np.float64).ravel()
        ends = (bool(terminated), truncated and not terminated, float(chances[chosen]))
        rows.append((episode, step, features[0], int(action), float(reward), after, *ends))
        if terminated or truncated:
            return rows
        state = follows


def _batch(rows: list[tuple[Any, ...]], is_array: bool) -> pa.RecordBatch:
    columns: list[Any] = [list(c) for c in zip(*rows, strict=True)]
    for at in (2, 5):
        values = columns[at]
        columns[at] = (
            pa.array([v.tolist() for v in values], pa.list_(pa.float64()))
            if is_array
            else pa.array([float(v[0]) for v in values])
        )
    columns[1] = pa.array(columns[1], pa.int32())
    names = ["episode", "step", "state", "action", "reward", "nextState"]
    return pa.RecordBatch.from_arrays(
        [c if isinstance(c, pa.Array) else pa.array(c) for c in columns],
        [*names, "terminated", "truncated", "behaviorProb"],
    )
