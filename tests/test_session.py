"""What kind of Spark this is, and whether it suffices."""

from __future__ import annotations

import pytest

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.errors import ResourceError
from sparkml_dist.session import SessionInfo, check_slots, get_session, has_dynamic_allocation

pytestmark = pytest.mark.modes


def test_info(spark, mode):
    info = SessionInfo.of(spark)
    assert info.kind == ("local-cluster" if mode == "local-cluster" else "local")
    assert info.is_connect == (mode == "connect")
    assert (info.slots, info.task_cpus) == (2, 1)
    assert not has_dynamic_allocation(spark)
    assert info.shares_local_disk


def test_the_active_session_is_found(spark):
    assert get_session() is spark


def test_slots(spark):
    assert check_slots(spark, 2).slots == 2
    with pytest.raises(ResourceError, match="has 2 task slots") as caught:
        check_slots(spark, 3)
    assert caught.value.code == "too_few_slots"


def test_workers(spark):
    check_workers(spark, ["json"])
    with pytest.raises(ResourceError, match="surely_not_there") as caught:
        check_workers(spark, ["surely_not_there"])
    assert caught.value.code == "worker_packages"
    with pytest.raises(ResourceError) as caught:
        check_workers(spark, memory=1 << 50)
    assert caught.value.code == "worker_memory"
