"""Features whose values float32 cannot tell apart are warned of."""

from __future__ import annotations

import logging

import pyarrow as pa
import pytest

from sparkml_dist import partition
from sparkml_dist.dataset.rounded_features import counts_of


def test_what_is_left_as_float32():
    assert counts_of(pa.chunked_array([[2**53, 2**53 + 1, None, 2**53]])) == (2, 1)
    assert counts_of(pa.chunked_array([[0.1, 0.2, 1e300]])) == (3, 3)
    ids = pa.chunked_array([range(2**25, 2**25 + 100)])
    assert counts_of(ids) == (100, 26)


@pytest.mark.modes
def test_the_user_is_told_of_ids_and_times(spark, tmp_path, caplog):
    df = spark.range(200).selectExpr(
        "9007199254740992 + id AS account",
        "1.7e9D + id AS seconds",
        "cast(1700000000.5 + id AS decimal(20, 1)) AS exact",
        "double(id) / 7 AS fine",
        "float(16777216 + id) AS float",
        "int(id) AS whole",
        "id % 2 AS label",
    )
    with caplog.at_level(logging.WARNING, "sparkml_dist"):
        partition(df, tmp_path / "d", label="label", shards=1)
    told = [r.getMessage() for r in caplog.records if "float32" in r.getMessage()]
    assert [m.split("values of ")[1].split(":")[0] for m in told] == [
        *("'account'", "'seconds'", "'exact'")
    ]
    assert "categorical" in told[0]
