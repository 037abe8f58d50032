"""The main function of a process with Keras: reads operations from its input, writes results."""

from __future__ import annotations

import os
import sys
from typing import Any

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.training.network_process import read_message, write_message

__all__ = ["main"]


def main() -> None:
    """Answer operations until the input ends."""
    source = sys.stdin.buffer
    # What libraries write to standard output must not get between the results.
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from sparkml_dist.federated.training.keras_process.operations import operate

    while (asked := read_message(source)) is not None:
        try:
            facts, arrays = operate(asked)
            reply = Message("result", 0, "", facts, arrays)
        except SparkMLDistError as error:
            reply = _error(type(error).__name__, error.code, error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - Keras and builders raise anything
            reply = _error("", "task_failed", f"{type(error).__name__}: {error}", "")
        write_message(results, reply)


def _error(kind: str, code: str, message: str, hint: Any) -> Message:
    facts = {"type": kind, "code": code, "message": message, "hint": hint or ""}
    return Message("error", 0, "", facts)


if __name__ == "__main__":
    main()
