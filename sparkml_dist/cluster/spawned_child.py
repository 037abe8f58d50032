"""A rank's process in a fresh interpreter."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

__all__ = ["SpawnedChild"]


class SpawnedChild:
    """A fresh interpreter that runs `sparkml_dist.cluster.rank_main`.

    Parameters
    ----------
    modules : sequence of str
        Modules that it imports at its start.
    environment : mapping of str to str
        Its whole environment.
    descriptors : sequence of int
        Its standard input, output and events; closed here once the child has them.
    """

    def __init__(
        self, modules: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]
    ) -> None:
        source, output, events = descriptors
        try:
            # A session of its own: the processes that the child starts are killed with it, and
            # Ctrl-C in the driver's terminal reaches it through Spark only.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sparkml_dist.cluster.rank_main", str(events), *modules],
                stdin=source,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[events],
                env=dict(environment),
                start_new_session=True,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end; return its exit code, or minus the signal.

        Raises
        ------
        subprocess.TimeoutExpired
        """
        return self._process.wait(timeout)

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Kill the process and those it started; no error when it is dead already."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
