"""The limit on the memory of ranks: where it holds, and what a rank beyond it is told."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

from sparkml_dist.cluster.gang_errors import failure
from sparkml_dist.cluster.memory import resident_bytes
from sparkml_dist.cluster.rank_memory import (
    RankMemory,
    rank_memory_limit,
    rank_memory_limited_to,
)
from sparkml_dist.cluster.recovery import is_retryable
from sparkml_dist.errors import ResourceError

MIB = 1 << 20


def test_the_limit_is_that_of_the_context():
    with rank_memory_limited_to(64 * MIB), ThreadPoolExecutor(1) as threads:
        assert rank_memory_limit() == 64 * MIB
        with rank_memory_limited_to(None):
            assert rank_memory_limit() is None
        assert threads.submit(copy_context().run, rank_memory_limit).result() == 64 * MIB
        assert threads.submit(rank_memory_limit).result() is None
    assert rank_memory_limit() is None


def test_a_process_beyond_its_limit_is_reported():
    memory = RankMemory(16 * MIB, base=resident_bytes())
    assert memory.excess(os.getpid()) is None and memory.excess(None) is None
    held = np.ones(64 << 17)  # 64 MiB
    record = memory.excess(os.getpid())
    assert record is not None and record["taken"] > 60 * MIB
    assert RankMemory(None).excess(os.getpid()) is None
    assert len(held)
    error = failure({"rank": 1, "host": "here", "tail": ["a line"], **record})
    assert isinstance(error, ResourceError) and error.code == "rank_memory"
    assert "Rank 1 on here took" in error.message and "16 MiB are allowed" in error.message
    assert not is_retryable(error)


@pytest.mark.parametrize("pid", [None, os.getpid()])
def test_the_memory_of_this_process_and_of_another(pid):
    assert resident_bytes(pid) > 10 * MIB
    assert resident_bytes(2**22 + 5) == 0
