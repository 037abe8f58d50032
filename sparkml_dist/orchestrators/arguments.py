"""Reads and completes the command line of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["RESUMABLE", "as_texts", "job_of", "option", "with_resume"]

# Jobs with the option --resume.
RESUMABLE = frozenset(
    {
        "automl",
        "cluster",
        "find_outliers",
        "fit_glm",
        "fit_kernel",
        "learn_network",
        "learn_policy",
        "mine_itemsets",
        "profile",
        "score",
        "search",
        "train_deep",
        "train_ensemble",
        "train_federated",
        "train_xgboost",
    }
)


def job_of(application: str) -> str:
    """Return the name of the job in a file.

    Parameters
    ----------
    application : str
        Path or URI of the job's file, such as ``jobs/score.py``.

    Returns
    -------
    str
        The file's name without its ending, such as ``score``.
    """
    return application.rpartition("/")[2].removesuffix(".py")


def as_texts(arguments: Sequence[Any] | None) -> list[str]:
    """Return the arguments as the texts that a process takes; numbers become text."""
    return [str(argument) for argument in arguments or ()]


def option(arguments: Sequence[str], name: str) -> str | None:
    """Return the value of an option, the last one if it is given more than once.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of a job.
    name : str
        The option, such as ``--output``.

    Returns
    -------
    str or None
        None where the option is missing.
    """
    found = None
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
        elif argument == name and number + 1 < len(arguments):
            found = arguments[number + 1]
    return found


def with_resume(arguments: Sequence[str], job: str) -> list[str]:
    """Return the arguments of another attempt, which continues the one before where it can.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of the first attempt.
    job : str
        Name of the job.

    Returns
    -------
    list of str
        With ``--resume`` where the job has this option. ``--overwrite`` is left as it is: its
        attempt begins anew, because an output that is complete may be of yesterday's rows.
    """
    if job not in RESUMABLE or {"--resume", "--overwrite"} & set(arguments):
        return list(arguments)
    return [*arguments, "--resume"]
