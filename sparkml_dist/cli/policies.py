"""Learns a policy from a log, and estimates its value."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.options import plan_of, reading
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import UsageError
from sparkml_dist.reinforcement.bandits.decisions import Decisions
from sparkml_dist.reinforcement.bandits.linear_bandit import LinearThompsonSampling, LinUCB
from sparkml_dist.reinforcement.bandits.off_policy_bandit import OffPolicyBandit
from sparkml_dist.reinforcement.deep_q_learning import DeepQLearning
from sparkml_dist.reinforcement.evaluation.evaluate import evaluate_policy
from sparkml_dist.reinforcement.fitted_q_iteration import FittedQIteration
from sparkml_dist.reinforcement.policy_table import start_value, write_policy
from sparkml_dist.reinforcement.tabular.batch_q_learning import BatchQLearning
from sparkml_dist.reinforcement.tabular.log_learners import (
    SARSA,
    DoubleQLearning,
    ExpectedSARSA,
    QLearning,
)
from sparkml_dist.reinforcement.tabular.q_table_model import QTableModel
from sparkml_dist.reinforcement.transitions import Transitions
from sparkml_dist.tables.columns import find_column
from sparkml_dist.tables.lines import format_of
from sparkml_dist.tables.read import read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.persistence.filesystem import Folder
    from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

__all__ = ["learn_policy"]

_TABULAR: dict[str, Any] = {
    "batch-q": BatchQLearning,
    "q-learning": QLearning,
    "sarsa": SARSA,
    "expected-sarsa": ExpectedSARSA,
    "double-q": DoubleQLearning,
}
_BANDITS: dict[str, Any] = {
    "bandit-dr": partial(OffPolicyBandit, method="dr"),
    "bandit-ips": partial(OffPolicyBandit, method="ips"),
    "bandit-dm": partial(OffPolicyBandit, method="dm"),
    "linucb": LinUCB,
    "thompson": LinearThompsonSampling,
}
#: Options and the Params that they set, where the algorithm has them.
_PARAMS = {
    "discretizer": "discretizer",
    "cells": "numCells",
    "method": "method",
    "clip": "clip",
    "exploration": "exploration",
    "pessimism": "pessimism",
    "unseen_value": "unseenValue",
    "learning_rate": "learningRate",
    "rate_decay": "rateDecay",
    "epochs": "epochs",
    "epsilon": "epsilon",
    "iterations": "maxIter",
    "advantage": "advantage",
    "alpha": "alpha",
    "n_steps": "nSteps",
    "hidden_units": "hiddenUnits",
    "batch_size": "batchSize",
    "ranks": "numRanks",
}
# Options of single columns, and the Params that name them.
_COLUMNS = {
    "episode": "episodeCol",
    "step": "stepCol",
    "reward": "rewardCol",
    "terminated": "terminatedCol",
    "truncated": "truncatedCol",
    "weight": "weightCol",
    "behavior_prob": "behaviorProbCol",
    "discount_col": "discountCol",
}


def learn_policy(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/learn_policy.py``.
    job : Job

    Raises
    ------
    UsageError
        ``usage`` for options that the algorithm does not have.
    SparkMLDistError
        As raised by reading the table, `Transitions`, the learners and `evaluate_policy`.
    """
    assert job.output is not None
    output, document = job.output, job.document
    output.overwrite, output.resume = args.overwrite, args.resume
    format_of(args.transitions, args.format)
    estimator = _estimator(args)
    plan = plan_of(args)
    if output.check(plan) and job.already_done(output):
        return
    spark = job.spark
    estimator._check(spark)
    with job.stage("read"):
        df = _log(args, job)
        named = _named(args, list(df.columns))
        estimator.setParams(**{k: v for k, v in named.items() if estimator.hasParam(k)})
    output.claim(plan)
    # A table of single transitions is counted as it is, where nothing else is asked of it.
    plain = args.algorithm == "batch-q" and not args.episode and not args.evaluate
    data: TransitionDataset | None = None
    if not plain:
        with job.stage("partition"):
            data = _transitions(args, df, named, output.shards)
    with job.stage("fit"):
        model = estimator.fit(df if data is None else data)
    with job.stage("write"):
        if model._home is None or not model._home.top.same_place(output.model):
            model.write().overwrite().save(output.model.location)
        write_policy(model, df, output.folder.child("policy"))
    _note(job, model, data)
    if args.evaluate and data is not None:
        with job.stage("evaluate"):
            _evaluate(args, job, model, data)
    names = ["model", "policy", *([] if data is None else ["shards"])]
    document.more["output"] = {name: output.place(name) for name in names}
    output.commit(document)


def _estimator(args: argparse.Namespace) -> Any:
    """Return the estimator that the options describe, before Spark starts."""
    if args.algorithm in _TABULAR:
        found = _TABULAR[args.algorithm]()
    elif args.algorithm == "fitted-q":
        found = FittedQIteration()
    elif args.algorithm in _BANDITS:
        found = _BANDITS[args.algorithm]()
        _refuse_steps(args)
    else:
        found = DeepQLearning(algorithm=args.algorithm)
    given = {param: getattr(args, name) for name, param in _PARAMS.items()}
    for name, param in _PARAMS.items():
        if given[param] is not None and not found.hasParam(param):
            raise UsageError(
                "usage",
                f"--{name.replace('_', '-')} is not for --algorithm {args.algorithm}.",
                "Leave it out, or choose another algorithm.",
            )
    if len(args.action) > 1 and not args.continuous:
        raise UsageError(
            "usage", "--action names several columns.", "Pass --continuous for actions of numbers."
        )
    found.setParams(seed=args.seed)
    if found.hasParam("discount"):
        found.setParams(discount=args.discount)
    found.setParams(**{p: v for p, v in given.items() if v is not None})
    return found


def _refuse_steps(args: argparse.Namespace) -> None:
    """Raise where options of several steps are given to a learner of single decisions."""
    names = ("step", "next_state", "terminated", "truncated", "discount_col", "continuous")
    for name in (n for n in names if getattr(args, n)):
        raise UsageError(
            "usage",
            f"--{name.replace('_', '-')} is not for --algorithm {args.algorithm}, for which each "
            "row is a decision by itself.",
            "Leave it out, or choose another algorithm.",
        )


def _log(args: argparse.Namespace, job: Job) -> DataFrame:
    """Return the table of the log."""
    table = read_table(
        job.spark, args.transitions, label=args.reward, label_optional=True, **reading(args)
    )
    return table.df


def _named(args: argparse.Namespace, columns: list[str]) -> dict[str, Any]:
    """Return the Params that name columns."""
    where = repr(args.transitions)

    def found(wanted: str, role: str) -> str:
        return find_column(wanted, columns, role, where)

    named: dict[str, Any] = {"stateCols": [found(n, "--state") for n in args.state]}
    if args.next_state:
        named["nextStateCols"] = [found(n, "--next-state") for n in args.next_state]
    named["actionCol"] = found(args.action[0], "--action")
    for option, param in _COLUMNS.items():
        if (wanted := getattr(args, option)) is not None:
            named[param] = found(wanted, f"--{option.replace('_', '-')}")
    return named


def _transitions(
    args: argparse.Namespace, df: DataFrame, named: dict[str, Any], folder: Folder
) -> TransitionDataset:
    """Make the transitions of the log in the job's folder."""
    if args.algorithm in _BANDITS:
        return Decisions(
            df,
            folder.location,
            state=named["stateCols"],
            action=named["actionCol"],
            reward=named["rewardCol"],
            decision=named.get("episodeCol"),
            behaviorProb=named.get("behaviorProbCol"),
            weight=named.get("weightCol"),
            shards=args.shards,
            memory_per_task=args.memory_per_task,
            seed=args.seed,
            overwrite=True,
        )
    columns = list(df.columns)
    actions = [find_column(n, columns, "--action", repr(args.transitions)) for n in args.action]
    return Transitions(
        df,
        folder.location,
        state=named["stateCols"],
        action=actions,
        reward=named["rewardCol"],
        episode=named.get("episodeCol"),
        step=named.get("stepCol"),
        terminated=named.get("terminatedCol"),
        truncated=named.get("truncatedCol"),
        nextState=named.get("nextStateCols"),
        behaviorProb=named.get("behaviorProbCol"),
        discount=named.get("discountCol"),
        weight=named.get("weightCol"),
        continuous=args.continuous,
        gaps=args.gaps,
        shards=args.shards,
        memory_per_task=args.memory_per_task,
        seed=args.seed,
        overwrite=True,
    )


def _note(job: Job, model: Any, data: TransitionDataset | None) -> None:
    """Add what is known of the log and the policy to the metrics document."""
    document, facts = job.document, dict(model.summary)
    known = {} if data is None else data.summary
    document.rows = known.get("rows", facts.get("transitions"))
    document.features = model.numFeatures
    value = model.startValue if isinstance(model, QTableModel) else start_value(model, data)
    document.metrics["start_value"] = value
    document.more["start_value"] = value
    document.more["states"] = facts.get("states")
    document.more["actions"] = len(model.actions)
    document.more["transitions"] = facts.get("transitions", known.get("transitions"))
    if known:
        document.more["log"] = {k: v for k, v in known.items() if k != "transitions"}
    document.more["learning"] = {
        k: v for k, v in facts.items() if isinstance(v, int | float | str | bool)
    }


def _evaluate(args: argparse.Namespace, job: Job, model: Any, data: TransitionDataset) -> None:
    """Estimate the policy's value, and add the estimates to the metrics document."""
    given: dict[str, Any] = {}
    if args.reward_range:
        given = {"unsupported": "bound", "rewardRange": tuple(args.reward_range)}
    found = evaluate_policy(
        model.to_local(),
        data,
        args.evaluate,
        discount=args.discount,
        level=args.level,
        replicates=args.replicates,
        seed=args.seed,
        **given,
    )
    document = job.document
    document.metrics |= {f"value_{name}": e.value for name, e in found.estimates.items()}
    document.more["estimates"] = {
        name: {"value": e.value, "standard_error": e.error, "lower": e.low, "upper": e.high}
        for name, e in found.estimates.items()
    }
    document.more["diagnostics"] = found.diagnostics
    document.more["doubts"] = found.warnings
    if found.bounds is not None:
        document.more["bounds"] = list(found.bounds)
