"""What the commands print: their results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from sparkml_dist.errors import SparkMLDistError, UsageError, nearest

__all__ = ["CommandParser", "note", "refuse"]


class CommandParser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of ending the process.

    Parameters
    ----------
    command : str
        Name of the subcommand.
    description : str
        What it does.
    epilog : str
        Examples, printed as they are.
    """

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"sparkml-dist {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, with the nearest option for one that does not exist."""
        if found := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            message += "." + nearest(found.group(1), self._option_string_actions)
        raise UsageError("usage", message.rstrip(".") + ".", f"See {self.prog} --help.")


def note(text: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def refuse(command: str, error: SparkMLDistError) -> int:
    """Print an error in one line on stderr and return its exit status."""
    note(f"sparkml-dist {command}: error: {' '.join(str(error).split())}")
    return error.exit_status
