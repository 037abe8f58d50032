"""Makes transitions of a log of single decisions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.reinforcement.transitions import Transitions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Decisions"]

_OVER, _STEP, _NEXT = "_sparkml_dist_over", "_sparkml_dist_step", "_sparkml_dist_next"


def Decisions(  # noqa: N802 - it is named as what it makes
    df: DataFrame,
    path: str | os.PathLike[str] | None = None,
    *,
    state: str | Sequence[str],
    action: str,
    reward: str,
    decision: str | Sequence[str] | None = None,
    behaviorProb: str | None = None,
    weight: str | None = None,
    actions: Sequence[Any] | None = None,
    shards: int | None = None,
    memory_per_task: int | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> TransitionDataset:
    """Make transitions of a log of single decisions: each row is an episode of one step.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    path : str or path-like, optional
    state : str or sequence of str
        Columns that were known when the action was chosen.
    action, reward : str
    decision : str or sequence of str, optional
        Columns that identify a row, from which its shard, fold and bootstrap draws follow. By
        default its content; many equal rows are told apart by a number, at the cost of a second
        shuffle.
    behaviorProb, weight, actions, shards, memory_per_task, seed, overwrite
        As for `Transitions`.

    Returns
    -------
    TransitionDataset

    Raises
    ------
    SparkMLDistError
        As `Transitions`.

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [(i, float(i % 3), i % 2, float(i % 6 == 3)) for i in range(12)],
    ...     "id int, hour double, banner int, click double",
    ... )
    >>> made = Decisions(log, state="hour", action="banner", reward="click", decision="id")
    >>> made.n_episodes, made.summary["length"]["max"]
    (12, 1.0)
    """
    from pyspark.sql import functions as F

    names = [state] if isinstance(state, str) else list(state)
    added: dict[str, Any] = {_OVER: F.lit(True)}
    options: dict[str, Any] = {"terminated": _OVER}
    if decision is not None:
        added[_STEP] = F.lit(0)
        options |= {"episode": decision, "step": _STEP}
    else:
        added |= {f"{_NEXT}{i}": named_column(n) for i, n in enumerate(names) if n in df.columns}
        options["nextState"] = [f"{_NEXT}{i}" for i in range(len(names))]
    return Transitions(
        df.withColumns(added),
        path,
        state=names,
        action=action,
        reward=reward,
        behaviorProb=behaviorProb,
        weight=weight,
        actions=actions,
        shards=shards,
        memory_per_task=memory_per_task,
        seed=seed,
        overwrite=overwrite,
        **options,
    )
