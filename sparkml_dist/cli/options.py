"""The command line of the jobs: common options, checked before Spark starts."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sparkml_dist.cli.checking import now_checking
from sparkml_dist.errors import UsageError, nearest
from sparkml_dist.sizes import parse_size
from sparkml_dist.tables.formats import FORMATS
from sparkml_dist.tables.schema import MISSING_VALUES

__all__ = [
    "JobParser",
    "add_common_options",
    "add_existing_output_options",
    "add_reading_options",
    "add_training_options",
    "at_least",
    "fraction",
    "json_object",
    "plan_of",
    "reading",
    "shape",
    "share_or_count",
    "size",
]

_WIDTH = 88
# Options that decide where a result is written, and not the result.
_NO_PLAN = (
    *("output", "overwrite", "resume", "metrics_out", "verbose"),
    *("mlflow", "experiment", "register"),
)
_STATUSES = (
    "Exit status: 0 ok, 2 usage, 10 configuration, 11 data, 12 resources, 13 training, "
    "14 input/output, 1 unexpected. The last line on stdout is the metrics as JSON."
)


class JobParser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of ending the process.

    Parameters
    ----------
    description : str
        What the job does.
    examples : sequence of str
        Command lines, shown under the options.
    """

    def __init__(self, prog: str, description: str, examples: Sequence[str] = ()) -> None:
        by_name = now_checking() is not None
        name = f"sparkml-dist {prog.replace('_', '-')}" if by_name else prog
        start = name if by_name else f"spark-submit jobs/{prog}.py"
        shown = "\n".join(f"  {start} {example}" for example in examples)
        self.hint = f"See {name if by_name else f'{prog}.py'} --help."
        super().__init__(
            prog=name,
            description=textwrap.fill(description, _WIDTH),
            epilog=f"examples:\n{shown}\n\n{textwrap.fill(_STATUSES, _WIDTH)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, with the nearest option for one that does not exist."""
        if found := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            message += "." + nearest(found.group(1), self._option_string_actions)
        raise UsageError("usage", message.rstrip(".") + ".", self.hint)


def at_least(
    least: float, kind: Callable[[str], float] = int, below: float | None = None
) -> Callable[[str], Any]:
    """Return an argparse type for numbers of `least` or more, and less than `below`."""

    def parse(text: str) -> float:
        limits = f">= {least}" + (f" and < {below}" if below is not None else "")
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not (value >= least and (below is None or value < below)):
            noun = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {noun} {limits}. Got {text!r}")
        return value

    return parse


def fraction(text: str) -> float:
    """Parse a number strictly between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1. Got {text!r}")
    return value


def share(text: str) -> float:
    """Parse a number greater than 0 and up to 1."""
    return 1.0 if text in ("1", "1.0") else fraction(text)


def share_or_count(text: str) -> float:
    """Parse a share such as 0.5 (1.0 is all), or a count."""
    from sparkml_dist.params import is_share_or_count

    try:
        value = int(text) if text.isdecimal() else float(text)
    except ValueError:
        value = -1.0
    if not is_share_or_count(value):
        raise argparse.ArgumentTypeError(
            f"must be a share such as 0.5, or a whole number >= 1. Got {text!r}"
        )
    return value


def size(text: str) -> str:
    """Check a size such as ``512m``."""
    from sparkml_dist.errors import ConfigurationError

    try:
        parse_size(text)
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(f"must be a size such as 512m. Got {text!r}") from error
    return text


def shape(text: str) -> tuple[int, ...]:
    """Parse ``28,28,1``."""
    try:
        dimensions = tuple(int(part) for part in re.split(r"[,x]", text))
    except ValueError:
        dimensions = (0,)
    if min(dimensions) < 1:
        raise argparse.ArgumentTypeError(f"must be positive numbers such as 28,28,1. Got {text!r}")
    return dimensions


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object such as ``{"max_depth": 5}``."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'must be a JSON object such as {{"max_depth": 5}} ({error}). Got {text!r}'
        ) from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f'must be a JSON object such as {{"max_depth": 5}}. Got {text!r}'
        )
    return value


def add_reading_options(parser: argparse.ArgumentParser, *, declared: bool = True) -> None:
    """Add the options of reading files: ``--format``, ``--header``, ``--delimiter`` and others.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    declared : bool, default=True
        Whether to add options of types, missing values and the decimal mark; a saved model has them
        already.
    """
    group = parser.add_argument_group("reading files")
    group.add_argument(
        "--format", choices=FORMATS, help="format of the data (default: by the name)"
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether text files begin with a line of names (default: inferred and logged)",
    )
    group.add_argument(
        "--delimiter",
        metavar="CHAR",
        type=_delimiter,
        help="separator of CSV fields; ' ' is any run of blanks (default: inferred)",
    )
    group.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of text files, such as windows-1252 or UTF-16 (default: UTF-8, and "
        "windows-1252 for values that are not valid UTF-8)",
    )
    group.add_argument(
        "--comment",
        metavar="CHAR",
        help="skip lines of text files that begin with CHAR; '' for none (default: lines "
        "before the first row that begin with # and have another number of fields)",
    )
    group.add_argument(
        "--decimal",
        choices=(".", ","),
        help="decimal mark of numbers in text files (default: inferred)",
    )
    if not declared:
        return
    group.add_argument(
        "--types",
        metavar="FILE",
        type=_types,
        default={},
        help="JSON file of column types of text files: maps a name, index or glob to number, "
        "boolean or text (default: inferred from all values)",
    )
    group.add_argument(
        "--text",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="columns of text files to read as text",
    )
    group.add_argument(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="fields of text files that are missing values of any feature, besides empty ones and, "
        f"in columns of numbers, {', '.join(filter(None, MISSING_VALUES))}",
    )


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """Return the reading options as arguments of `read_table`."""
    found = {
        name: getattr(args, name)
        for name in ("format", "header", "delimiter", "encoding", "comment", "decimal")
    }
    if hasattr(args, "types"):
        found |= {"types": args.types, "text": args.text, "missing": args.missing}
    return found


def _types(path: str) -> dict[str, str]:
    """Read a JSON file of column types."""
    from sparkml_dist.tables.columns import TYPES

    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"must be a JSON file ({error}). Got {path!r}") from error
    if not isinstance(value, dict) or not {*map(str, value.values())} <= {*TYPES}:
        raise argparse.ArgumentTypeError(
            f"must hold an object of names and {', '.join(TYPES)}. Got {path!r}"
        )
    return value


def _delimiter(text: str) -> str:
    text = {"\\t": "\t", "tab": "\t", "space": " "}.get(text, text)
    if len(text) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError(f"must be one character. Got {text!r}")
    return text


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that all training jobs have: data, columns, shards, output."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--train", required=True, metavar="URI", help="training data: a file, folder or pattern"
    )
    held_out = data.add_mutually_exclusive_group()
    held_out.add_argument("--test", metavar="URI", help="held-out data, read in the same way")
    held_out.add_argument(
        "--test-fraction",
        type=fraction,
        metavar="F",
        help="share of the training rows to hold out, by a hash of the row (default: 0.2)",
    )
    add_reading_options(parser)
    columns = parser.add_argument_group("columns (a PATTERN is a name, an index or a glob)")
    columns.add_argument(
        "--label",
        metavar="COL",
        help="label column: a name, or an index from 0 (-1 is the last) for files without a "
        "header (default: label)",
    )
    columns.add_argument(
        "--features",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="feature columns (default: all others)",
    )
    columns.add_argument(
        "--categorical",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="feature columns that hold categories; 'auto' for all features of strings",
    )
    columns.add_argument("--weight", metavar="COL", help="column of row weights, >= 0")
    columns.add_argument(
        "--key",
        metavar="COL",
        help="column that identifies a row, or a group of rows that splits and folds must keep "
        "together (default: the row's content)",
    )
    shards = parser.add_argument_group("shards").add_mutually_exclusive_group()
    shards.add_argument("--shards", type=at_least(1), metavar="N", help="number of random shards")
    shards.add_argument(
        "--memory-per-task",
        type=size,
        metavar="SIZE",
        help="memory of a task, for which shards are made small enough (default: 512m)",
    )
    shards.add_argument(
        "--shards-from",
        metavar="DIR",
        help="use the shards in the output folder of another job on the same data",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder or URI for model/, shards/, plots/ and metrics.json",
    )
    add_existing_output_options(output, kept="finished shards and members are reused")


def add_existing_output_options(
    group: argparse._ArgumentGroup, *, kept: str = "finished parts are reused"
) -> None:
    """Add ``--overwrite`` and ``--resume``, for an existing output.

    Parameters
    ----------
    group : argparse group
    kept : str
        Help on what a resumed run reuses.
    """
    present = group.add_mutually_exclusive_group()
    present.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an earlier output once the new one is complete",
    )
    present.add_argument("--resume", action="store_true", help=f"complete an earlier run: {kept}")


def plan_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that decide a job's result; a resumed run must have the same ones."""
    return {name: value for name, value in vars(args).items() if name not in _NO_PLAN}


def add_common_options(
    parser: argparse.ArgumentParser, *, seed: bool = True, model: bool = True
) -> None:
    """Add ``--metrics-out``, ``--seed``, ``--verbose`` and those of tracking."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--metrics-out", metavar="FILE", help="metrics as JSON (default: metrics.json in DIR)"
    )
    if seed:
        group.add_argument(
            "--seed",
            type=at_least(0),
            default=0,
            metavar="N",
            help="seed of all random draws (default: 0)",
        )
    group.add_argument(
        "--verbose", action="store_true", help="log more on stdout, and Spark's own log on stderr"
    )
    tracking = parser.add_argument_group("tracking")
    tracking.add_argument(
        "--mlflow",
        nargs="?",
        const="",
        metavar="URI",
        help="log the run in MLflow, on this tracking server or store (default: that of "
        "MLFLOW_TRACKING_URI)",
    )
    tracking.add_argument(
        "--experiment", metavar="NAME", help="experiment of MLflow; it is made if there is none"
    )
    if model:
        tracking.add_argument(
            "--register",
            metavar="NAME[@ALIAS]",
            help="register the model as a new version of this name, and give it an alias",
        )
