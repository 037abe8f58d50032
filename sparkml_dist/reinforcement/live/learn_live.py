"""Learns a table of values from environments, round after round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.persistence.parquet import write_parquet
from sparkml_dist.persistence.workspace import empty_folder
from sparkml_dist.reinforcement.live.exploration import UpperConfidence
from sparkml_dist.reinforcement.live.explore import (
    Environment,
    action_list,
    explore,
    made_environment,
)
from sparkml_dist.reinforcement.policy import EpsilonGreedy, Policy, Softmax
from sparkml_dist.reinforcement.tabular.batch_q_learning import BatchQLearning
from sparkml_dist.reinforcement.tabular.q_table_model import QTable, QTableModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["learn_live"]

Exploration = Literal["epsilon", "softmax", "ucb"]


def learn_live(
    spark: SparkSession,
    environment: Environment,
    *,
    rounds: int = 10,
    episodes: int = 100,
    exploration: Exploration = "epsilon",
    epsilon: float = 0.1,
    temperature: float = 1.0,
    bonus: float = 1.0,
    learner: BatchQLearning | None = None,
    maxSteps: int | None = None,
    tasks: int | None = None,
    options: Mapping[str, Any] | None = None,
    logDir: str | None = None,
    seed: int = 0,
) -> QTableModel:
    """Learn from an environment: tasks play episodes, all of them are learnt from, and so on.

    The first round acts at random. Each round learns the values of all transitions so far, by
    `BatchQLearning`, and the next one explores with them.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    environment, maxSteps, tasks, options, seed
        As for `explore`.
    rounds, episodes : int, default=10, 100
        Number of rounds, and episodes of each.
    exploration : {"epsilon", "softmax", "ucb"}, default="epsilon"
        Random actions with probability `epsilon`; probabilities in proportion to
        ``exp(value / temperature)``; or the largest upper confidence bound, whose width is `bonus`.
    learner : BatchQLearning, optional
        With its discount, pessimism, cells and so on; its columns are set here.
    logDir : str, optional
        Empty folder for the transitions of all rounds; a temporary one by default.

    Returns
    -------
    QTableModel

    Raises
    ------
    ConfigurationError
        ``invalid_param``; those of `explore`.
    StorageError
        ``output_exists`` where `logDir` is not empty.
    """
    if exploration not in ("epsilon", "softmax", "ucb"):
        raise ConfigurationError(
            "invalid_param",
            f"exploration must be 'epsilon', 'softmax' or 'ucb'. Got {exploration!r}.",
        )
    if rounds < 1 or not 0 <= epsilon <= 1 or not temperature > 0 or not bonus >= 0:
        raise ConfigurationError(
            "invalid_param",
            "rounds must be at least 1, epsilon in [0, 1], temperature > 0 and bonus >= 0.",
        )
    actions = list(action_list(made_environment(environment, options or {})))
    folder = empty_folder(spark, logDir, "episodes", "logDir")
    chosen = (learner or BatchQLearning()).copy()
    chosen.setParams(
        stateCols=["state"],
        nextStateCols=["nextState"],
        actionCol="action",
        rewardCol="reward",
        terminatedCol="terminated",
        actions=actions,
    )
    policy: Policy | None = None
    model: Any = None
    log: DataFrame | None = None
    for number in range(rounds):
        rows = explore(
            spark,
            environment,
            policy,
            episodes=episodes,
            firstEpisode=number * episodes,
            maxSteps=maxSteps,
            tasks=tasks,
            options=options,
            seed=seed,
        )
        written = write_parquet(rows, folder.child(f"round-{number:05d}")).read(spark)
        log = written if log is None else log.unionByName(written)
        model = chosen.fit(log)
        policy = _exploring(model, exploration, epsilon, temperature, bonus)
    assert isinstance(model, QTableModel)
    return model


def _exploring(
    model: QTableModel, exploration: Exploration, epsilon: float, temperature: float, bonus: float
) -> Policy:
    local = model.to_local()
    if exploration == "epsilon":
        return EpsilonGreedy(local, epsilon)
    if exploration == "softmax":
        return Softmax(local, temperature)
    return UpperConfidence(
        local, QTable(local.actions, local.states, model.count, local.cells), bonus
    )
