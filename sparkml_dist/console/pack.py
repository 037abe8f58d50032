"""``sparkml-dist pack``: the environment in one file, for executors that have nothing installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sparkml_dist.console.printing import CommandParser, note
from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["run"]

_OWN = "sparkml-dist"
# What only installs others.
_TOOLS = frozenset({"pip", "uv", "wheel"})


def _options() -> CommandParser:
    parser = CommandParser(
        "pack",
        "Write the installed packages to an archive that executors unpack and use, on machines\n"
        "with no more than the same version of Python. Spark's own jars are left out.",
        "examples:\n"
        "  sparkml-dist pack --output env.tar.gz\n"
        "  sparkml-dist pack --output small.tar.gz --minimal --with xgboost-cpu\n"
        "  sparkml-dist train-ensemble --master spark://host:7077 --environment small.tar.gz …\n\n"
        "--environment stands for:\n"
        "  --archives small.tar.gz#environment "
        "--conf spark.pyspark.python=./environment/bin/python\n",
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE", help="the archive, a .tar.gz"
    )
    parser.add_argument(
        "--minimal",
        action="store_true",
        help="only this library and what it requires: no TensorFlow, no boosters, nothing else",
    )
    parser.add_argument(
        "--with",
        dest="more",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="with --minimal: these installed packages too, and what they require",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="Python of the workers (default: the one at this environment's path, else the first "
        f"python{sys.version_info.major}.{sys.version_info.minor} on their PATH)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier archive")
    return parser


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Raises
    ------
    ConfigurationError
        ``distribution_not_found``, ``conflicting_params``.
    StorageError
        ``output_exists``.
    """
    try:
        args = _options().parse_args(argv)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    return _pack(args)


def _pack(args: argparse.Namespace) -> int:
    from sparkml_dist.console.archive import write_archive
    from sparkml_dist.console.distributions import installed, is_editable, with_requirements

    if args.more and not args.minimal:
        raise ConfigurationError(
            "conflicting_params",
            "--with is for --minimal: without it, all installed packages are packed.",
            "Leave one of them out.",
        )
    if args.output.exists() and not args.overwrite:
        raise StorageError(
            "output_exists",
            f"{str(args.output)!r} exists.",
            "Pass --overwrite to replace it, or another name.",
        )
    if not args.output.resolve().parent.is_dir():
        raise StorageError(
            "file_not_found",
            f"The folder of {str(args.output)!r} does not exist.",
            "Make it first.",
        )
    among = installed()
    names = with_requirements([_OWN, *args.more], among) if args.minimal else sorted(among)
    packed = [among[name] for name in names if name not in _TOOLS]
    for distribution in packed:
        name = distribution.metadata["Name"]
        if is_editable(distribution) and name.replace("_", "-") != _OWN:
            note(f"pack: {name} is installed as a link to its source, and left out.")
    note(f"pack: {len(packed)} packages of {sys.prefix}")
    files, size = write_archive(args.output, packed, python=args.python)
    stored = args.output.stat().st_size
    note(f"pack: {files:,} files, {size / 1e6:,.0f} MB, {stored / 1e6:,.0f} MB compressed")
    sys.stdout.write(f"{args.output}\n")
    return 0
