"""Tells the options of spark-submit from those of a job on one command line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from sparkml_dist.errors import UsageError

__all__ = ["FLAGS", "WITH_VALUE", "settings_of", "split_options", "value_of"]

#: Options of spark-submit that take a value. No job has an option of the same name.
WITH_VALUE = frozenset({"-c"}) | frozenset(
    f"--{name}"
    for name in (
        *("master", "remote", "deploy-mode", "name", "conf", "properties-file"),
        *("jars", "packages", "exclude-packages", "repositories", "py-files", "files", "archives"),
        *("driver-memory", "driver-java-options", "driver-library-path", "driver-class-path"),
        *("executor-memory", "driver-cores", "total-executor-cores", "executor-cores"),
        *("num-executors", "proxy-user", "principal", "keytab", "queue"),
        "environment",  # of ours: see `submit_line`
    )
)
#: Those without. ``--verbose``, ``--help`` and ``--version`` are the job's own.
FLAGS = frozenset({"--supervise", "--load-spark-defaults"})


def split_options(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options for spark-submit, and those of the job, each in their order.

    Before a ``--`` everything is for spark-submit. Without one, its options are known by their
    names, wherever they stand.

    Parameters
    ----------
    argv : sequence of str
        Arguments after the name of the job.

    Raises
    ------
    UsageError
        ``usage`` for an option without its value.
    """
    if "--" in argv:
        middle = list(argv).index("--")
        submit, own = list(argv[:middle]), list(argv[middle + 1 :])
    else:
        submit, own = [], list(argv)
    mine: list[str] = []
    rest = iter(own)
    for argument in rest:
        name, given, _ = argument.partition("=")
        if name in FLAGS or (name in WITH_VALUE and given):
            submit.append(argument)
        elif name in WITH_VALUE:
            value = next(rest, None)
            if value is None or value in WITH_VALUE:
                raise UsageError("usage", f"{name} (of spark-submit) needs a value.")
            submit += [name, value]
        else:
            mine.append(argument)
    return submit, mine


def value_of(submit: Sequence[str], name: str) -> str | None:
    """Return the last value of an option of spark-submit; None where it is not given."""
    found = None
    for here, after in zip_longest(submit, submit[1:], fillvalue=""):
        if here == name:
            found = after
        elif here.startswith(f"{name}="):
            found = here.partition("=")[2]
    return found


def settings_of(submit: Sequence[str]) -> dict[str, str]:
    """Return the settings that ``--conf`` (or ``-c``) gives."""
    found = {}
    for here, after in zip_longest(submit, submit[1:], fillvalue=""):
        if here in ("--conf", "-c"):
            key, _, found[key] = after.partition("=")
        elif here.startswith("--conf="):
            key, _, found[key] = here.removeprefix("--conf=").partition("=")
    return found
