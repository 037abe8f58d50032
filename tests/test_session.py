"""What kind of Spark this is, and whether it suffices."""

from __future__ import annotations

import sys

import pytest

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.errors import ResourceError
from sparkml_dist.session import (
    SessionInfo,
    _advice,
    check_slots,
    get_session,
    has_dynamic_allocation,
)

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


class Conf(dict):
    """A session as far as its settings go."""

    def __init__(self, **given):
        super().__init__({name.replace("_", "."): value for name, value in given.items()})

    @property
    def conf(self):
        return self


@pytest.mark.parametrize(
    ("master", "shuffle", "arrow", "told"),
    [
        ("local[2]", "200", "true", ["shuffle.partitions', 8)"]),
        ("local[*]", "200", "false", ["shuffle.partitions', 8)", "arrow.pyspark.enabled', True)"]),
        ("local[2]", "4", "true", []),
        ("spark://host:7077", "200", "false", []),
        ("yarn", "200", "false", []),
    ],
)
def test_what_makes_small_data_quick(master, shuffle, arrow, told):
    session = Conf(
        spark_master=master,
        spark_sql_shuffle_partitions=shuffle,
        spark_sql_execution_arrow_pyspark_enabled=arrow,
    )
    before = dict(session)
    advice = _advice(session)
    assert bool(advice) == bool(told) and all(part in advice for part in told)
    assert dict(session) == before


def test_a_notebook_is_told_once_and_nothing_is_set(spark, mode, monkeypatch, caplog):
    if mode == "local-cluster":
        pytest.skip("the advice is for one machine")
    name = "spark.sql.shuffle.partitions"
    before = spark.conf.get(name)
    get_session()
    assert not caplog.records
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    spark.conf.set(name, "200")
    try:
        assert get_session() is get_session()
        assert [r.levelname for r in caplog.records] == ["WARNING"]
        assert "nothing was set" in caplog.text and spark.conf.get(name) == "200"
    finally:
        spark.conf.set(name, before)
