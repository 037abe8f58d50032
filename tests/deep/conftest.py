"""One gang for all tests that look at what coupled ranks do: each process imports TensorFlow."""

from __future__ import annotations

import pytest

from sparkml_dist.cluster.gang import run_gang
from tests.deep import on_ranks


@pytest.fixture(scope="session")
def coupled_ranks(spark):
    """What `on_ranks.run` returned on each of two ranks."""
    results = run_gang(spark, 2, on_ranks.run, preload=("sparkml_dist.deep.backend.with_horovod",))
    return [r.value for r in results]
