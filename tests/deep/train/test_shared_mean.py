"""The mean in shared memory against numpy, with ranks as threads, and as processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.deep.train.shared_join import join

SHAPES = [(100,), (7, 3), (), (64,), (0, 4), (129,)]


class Messages:
    """Rank 0's bytes, for threads."""

    def __init__(self):
        self._sent = threading.Event()
        self._data = b""

    def __call__(self, rank, data):
        if rank == 0:
            self._data = data
            self._sent.set()
        assert self._sent.wait(20)
        return self._data


def on_threads(size, function, block=64):
    """Run ``function(rank, memory)`` in a thread for each rank."""
    messages = Messages()

    def go(rank):
        memory = join(rank, size, lambda data: messages(rank, data), block=block, timeout=20)
        try:
            return function(rank, memory)
        finally:
            memory.close()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(go, range(size)))


def arrays_of(rank, shapes, call=0):
    rng = np.random.default_rng((rank, call))
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("block", [64, 112, 4096])
def test_means_of_many_calls_are_those_of_numpy(size, block):
    weights = [0.5 + rank for rank in range(size)]
    calls = 12

    def go(rank, memory):
        found = []
        for call in range(calls):
            own = [a * np.float32(weights[rank]) for a in arrays_of(rank, SHAPES, call)]
            found.append(memory(own, weights[rank]))
        return found

    ranks = on_threads(size, go, block)
    for call in range(calls):
        every = [arrays_of(rank, SHAPES, call) for rank in range(size)]
        for i in range(len(SHAPES)):
            wanted = np.average([a[i] for a in every], axis=0, weights=weights)
            for means, total in (found[call] for found in ranks):
                assert means[i].shape == SHAPES[i]
                assert means[i].tobytes() == ranks[0][call][0][i].tobytes()
                assert total == sum(weights)
                np.testing.assert_allclose(means[i], wanted, atol=1e-6)


@given(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_any_sizes(sizes):
    shapes = [(n,) for n in sizes]
    ranks = on_threads(2, lambda rank, memory: memory(arrays_of(rank, shapes), 1.0))
    for i in range(len(sizes)):
        wanted = (arrays_of(0, shapes)[i] + arrays_of(1, shapes)[i]) * np.float32(0.5)
        assert (ranks[1][0][i] == wanted).all()


def test_no_weight_at_all_gives_zeros():
    ranks = on_threads(2, lambda _, memory: memory([np.zeros(9, np.float32)], 0.0))
    assert (ranks[0][0][0] == 0).all()
    assert ranks[0][1] == 0


def test_what_is_not_finite_stays_so():
    def go(rank, memory):
        values = np.array([np.inf, np.nan, 1.0] if rank else [1.0, 1.0, 1.0], np.float32)
        return memory([values], 1.0)[0][0]

    for found in on_threads(2, go):
        assert np.isinf(found[0])
        assert np.isnan(found[1])
        assert found[2] == 1


def test_a_rank_that_leaves_is_noticed():
    def go(rank, memory):
        memory([np.ones(9, np.float32)], 1.0)
        if rank == 0:
            return None
        with pytest.raises(ConnectionError, match="shared memory with another rank"):
            for _ in range(3):
                memory([np.ones(9, np.float32)], 1.0)
        return True

    assert on_threads(2, go)[1]


_OTHER = """
import sys, numpy as np
from sparkml_dist.deep.train.shared_join import join
token = bytes.fromhex(sys.stdin.readline())
memory = join(1, 2, lambda _: token, block=64)
memory([np.ones(9, np.float32)], 1.0)
print("met", flush=True)
sys.stdin.readline()
"""


def test_a_killed_process_is_noticed_and_leaves_nothing_behind():
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:

        def tell(data):
            other.stdin.write(data.hex() + "\n")
            other.stdin.flush()
            return data

        before = set(os.listdir("/dev/shm"))
        memory = join(0, 2, tell, block=64)
        (mean,), _ = memory([np.full(9, 3.0, np.float32)], 1.0)
        assert (mean == 2).all()
        assert other.stdout.readline() == "met\n"
        other.send_signal(signal.SIGKILL)
        with pytest.raises(ConnectionError):
            memory([np.ones(9, np.float32)], 1.0)
        assert set(os.listdir("/dev/shm")) <= before
        memory.close()


def test_a_rank_that_does_not_answer_is_noticed():
    done = threading.Event()

    def go(rank, memory):
        if rank == 1:
            return done.wait(20)
        for peer in memory._peers:
            peer.settimeout(0.05)
        with pytest.raises(ConnectionError, match="does not answer"):
            memory([np.ones(9, np.float32)], 1.0)
        done.set()
        return True

    assert all(on_threads(2, go))
