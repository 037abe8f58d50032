"""Lets Spark's Python workers write what was measured in them; on the path in `make coverage` only.

Spark ends workers that it no longer needs with a hang-up, which they leave to the system. Here they
exit in Python, where coverage saves its data.
"""

from __future__ import annotations

import os
import signal
from typing import Any

_set_handler = signal.signal


def _exit(number: int, _frame: Any) -> None:
    os._exit(128 + number)


def _with_exit(number: int, handler: Any) -> Any:
    ends = number == signal.SIGHUP and handler == signal.SIG_DFL
    return _set_handler(number, _exit if ends else handler)


signal.signal = _with_exit  # type: ignore[assignment]
