"""The command ``sparkml-dist``: finds the subcommand and runs it.

Only the module of that subcommand is imported, and no other library for ``--help``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from sparkml_dist.console.printing import refuse
from sparkml_dist.errors import SparkMLDistError, UsageError, nearest
from sparkml_dist.version import __version__

__all__ = ["COMMANDS", "JOBS", "main"]

#: Jobs by the name of their command, with what they do; the file of each is that name with ``_``.
JOBS = {
    "train-ensemble": "train an ensemble of scikit-learn learners on shards",
    "train-deep": "train a Keras network by several ranks with Horovod",
    "train-federated": "train one model over silos, each of which keeps its rows",
    "train-xgboost": "train one XGBoost model over all rows, by several ranks",
    "fit-glm": "fit a linear or generalized linear model with standard errors",
    "automl": "find a good model for a table within a budget",
    "search": "search for the best parameters of a learner",
    "fit-kernel": "fit a kernel machine, a Gaussian process or kernel clusters",
    "learn-network": "learn the structure and parameters of a Bayesian network",
    "learn-policy": "learn a policy from logged transitions, and estimate its value",
    "mine-itemsets": "find frequent itemsets and association rules",
    "cluster": "find clusters",
    "find-outliers": "compute outlier scores",
    "profile": "profile a table, or compare two",
    "score": "score a table with a saved model",
}
#: The other commands.
COMMANDS = {
    "doctor": "look at this machine or, with --master, at a cluster, and say what is missing",
    "pack": "write the environment to an archive that executors can use",
    "build-horovod": "build Horovod for the TensorFlow that is installed",
    "silo": "take part in a federation as one silo",
    "silo-certificates": "make the certificates of a federation",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``sparkml-dist`` and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the command's name; those of the process by default.
    """
    name, *rest = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0
    if name == "--version":
        sys.stdout.write(f"sparkml-dist {__version__}\n")
        return 0
    command = name.replace("_", "-")
    try:
        if command in JOBS:
            from sparkml_dist.console.jobs import run_job_command

            return run_job_command(command, rest)
        if command in COMMANDS:
            module = import_module(f"sparkml_dist.console.{command.replace('-', '_')}")
            status: int = module.run(rest)
            return status
        raise UsageError(
            "usage",
            f"There is no command {name!r}.{nearest(command, [*JOBS, *COMMANDS])}",
            "See sparkml-dist --help.",
        )
    except SparkMLDistError as error:
        return refuse(command, error)
    except KeyboardInterrupt:
        return 130


def _help() -> str:
    def listed(commands: dict[str, str]) -> str:
        return "".join(f"  {name:<18}{text}\n" for name, text in commands.items())

    return (
        "usage: sparkml-dist COMMAND [options]\n\n"
        f"environments:\n{listed(COMMANDS)}\n"
        "jobs, run by spark-submit, whose options (--master, --conf, --driver-memory, …) they take "
        f"too:\n{listed(JOBS)}\n"
        "sparkml-dist COMMAND --help shows the options of a command; --version the version.\n"
    )
