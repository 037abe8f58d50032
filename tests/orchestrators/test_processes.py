"""A process is ended with all that it started."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from sparkml_dist.orchestrators.processes import end_processes, process_tree

# A child in a session of its own, as the ranks of a gang are, that has a child too.
PARENT = """
import signal, subprocess, sys, time
{before}
child = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(p.pid, flush=True); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
time.sleep(60)
"""  # noqa: E501
# Its children inherit it.
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.mark.parametrize(("before", "killed"), [("", 0), (DEAF, 3)])
def test_descendants_in_sessions_of_their_own_end_too(before, killed):
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(before=before)], stdout=subprocess.PIPE, text=True
    )
    grandchild = psutil.Process(int(process.stdout.readline()))
    tree = process_tree(process.pid)
    assert len(tree) == 3
    assert end_processes(tree, grace=0.5) == killed
    assert process.wait(10) != 0
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in tree)
    assert grandchild in tree
    process.stdout.close()


def test_a_process_that_has_ended_has_no_tree():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_tree(process.pid) == []
    assert end_processes([], grace=1) == 0
