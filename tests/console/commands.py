"""Runs ``sparkml-dist`` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def sparkml_dist(*arguments, python=sys.executable, environment=None, seconds=240):
    """Return the ended process; variables of `environment` that are None are removed."""
    found = {k: v for k, v in os.environ.items() if not k.startswith("SPARKML_DIST_TEST")}
    found["PYTHONPATH"] = str(ROOT)
    for name, value in (environment or {}).items():
        found.pop(name, None)
        if value is not None:
            found[name] = str(value)
    return subprocess.run(
        [python, "-m", "sparkml_dist.console", *map(str, arguments)],
        env=found,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
