"""Children with limits: what they return, and every way in which they end early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sparkml_dist.cluster.watched_child import Limits, run_watched


def ends(work, count, **limits):
    found = {}

    def take(piece, ending):
        assert piece == len(found)
        found[piece] = ending

    run_watched(work, count, Limits(**limits), take)
    return [found[i] for i in range(count)]


def test_pieces_return_values_of_any_size():
    found = ends(lambda i: np.full(i * 100_000, i), 4)
    assert [e.reason for e in found] == ["done"] * 4
    assert [e.value.sum() for e in found] == [i * i * 100_000 for i in range(4)]


def test_one_child_does_all_pieces_until_one_ends_it():
    def work(i):
        if i == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    first, killed, third, fourth = ends(work, 4)
    assert killed.reason == "killed" and "9 (SIGKILL)" in killed.message
    assert first.value != third.value == fourth.value
    assert os.getpid() not in (first.value, third.value)


def test_the_peak_of_each_piece_is_its_own():
    def work(i):
        return len(np.ones(1 + (64 << 17) * (i == 1)))  # 64 MiB

    found = [e.peak / 2**20 for e in ends(work, 3)]
    assert found[1] > max(found[0], found[2]) + 50


@pytest.mark.parametrize(
    ("work", "reason", "part"),
    [
        (lambda i: 1 / 0, "failed", "ZeroDivisionError"),
        (lambda i: sys.exit(3), "failed", "SystemExit"),
        (lambda i: os._exit(3), "killed", "status 3"),
        (lambda i: time.sleep(60), "timeout", "more than 0.3 s"),
        (lambda i: lambda: 0, "failed", "pickle"),
    ],
    ids=["raises", "exits", "leaves", "hangs", "returns what cannot be sent"],
)
def test_the_reason_of_an_early_end(work, reason, part):
    bad, good = ends(
        lambda i: work(i) if i == 0 else "good", 2, seconds=0.3 if reason == "timeout" else 30
    )
    assert bad.reason == reason and part in bad.message
    assert good.value == "good"


def test_the_death_of_a_child_is_seen_though_its_own_children_live():
    def work(i):
        if i == 0:
            if os.fork() == 0:
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    killed, good = ends(work, 2)
    assert killed.reason == "killed" and good.value == 1


def test_the_trace_of_what_was_raised():
    (found,) = ends(lambda i: [][i], 1)
    assert "IndexError" in found.trace and "test_watched_child" in found.trace


def test_too_much_memory_ends_a_piece():
    def work(i):
        held = []
        while i == 0:
            held.append(np.ones(1 << 20))
            time.sleep(0.002)
        return i

    greedy, modest = ends(work, 2, memory=64 << 20)
    assert greedy.reason == "memory" and "64 MiB are allowed" in greedy.message
    assert modest.value == 1


def test_the_time_of_all_pieces_ends_the_rest():
    found = ends(lambda i: time.sleep(0.2 if i else 0.0) or i, 5, total_seconds=0.5)
    assert found[0].value == 0
    assert found[-1].reason == "deadline" and found[-2].reason == "deadline"


def test_a_child_shares_what_this_process_holds_and_changes_a_copy():
    held = np.zeros(1000)

    def work(i):
        held[:] = 7
        return float(held.sum())

    (found,) = ends(work, 1)
    assert found.value == 7000 and not held.any()


def test_an_error_in_the_report_is_raised_here():
    def refuse(piece, ending):
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        run_watched(lambda i: i, 2, Limits(), refuse)


_OPENMP = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sparkml_dist.cluster.watched_child import Limits, run_watched

rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 8)); y = (X[:, 0] > 0).astype(int)
def fit(_):
    return HistGradientBoostingClassifier(max_iter=3).fit(X, y).score(X, y)
fit(0)  # starts threads of OpenMP here
run_watched(fit, 1, Limits(60), lambda i, end: print(end.reason))
"""


@pytest.mark.long
def test_a_child_uses_openmp_though_this_process_did(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _OPENMP],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "done", done.stderr


_PARENT = """
import os, sys, time
from sparkml_dist.cluster.watched_child import Limits, run_watched

def work(_):
    print(os.getpid(), flush=True)
    time.sleep(60)
run_watched(work, 1, Limits(), print)
"""


def test_a_child_dies_with_its_parent():
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(200):
        if not _runs(child):
            break
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
