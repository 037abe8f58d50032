"""Profiles of tables against pandas, of odd types, of wide and of empty ones."""

from __future__ import annotations

import datetime as dt
import decimal
import json

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import drift, profile

DDL = (
    "id long, `x.y` double, s string, b boolean, d date, t timestamp, m decimal(12,2), "
    "arr array<long>, mp map<string,long>, st struct<a:int>, nul void, bin binary, one int, y int"
)


@pytest.fixture(scope="module")
def table(spark):
    rows = [
        (
            i, float(i % 7) if i % 5 else None, f"v<{i % 3}>", i % 2 == 0,
            dt.date(2020, 1, 1) + dt.timedelta(i), dt.datetime(2021, 1, 1, 0, i % 60),
            decimal.Decimal(i) / 10, [i] * (i % 4), {"a": i}, (1,), None, b"ab", 1, i % 2,
        )
        for i in range(1000)
    ]  # fmt: skip
    return spark.createDataFrame(rows, DDL).persist()


@pytest.mark.modes
def test_a_table_of_all_types(table):
    found = profile(table, target="y")
    x = pd.Series([float(i % 7) for i in range(1000) if i % 5])
    told = found["x.y"]
    assert (found.rows, told["missing"], told["distinct"]) == (1000, 200, 7)
    assert told["distinct_is_exact"]
    assert told["mean"] == pytest.approx(x.mean()) and told["sd"] == pytest.approx(x.std())
    assert told["quantiles"]["0.5"] == x.median()
    assert sum(told["histogram"]["counts"]) == pytest.approx(800)
    assert {v["value"]: v["count"] for v in found["s"]["frequent"]} == {
        "v<0>": 334, "v<1>": 333, "v<2>": 333,
    }  # fmt: skip
    assert found["id"]["distinct"] == pytest.approx(1000, rel=0.03)
    assert found["d"]["min"] == (dt.date(2020, 1, 1) - dt.date(1970, 1, 1)).days
    assert found["m"]["max"] == 99.9 and found["arr"]["max"] == 3 and found["mp"]["mean"] == 1
    assert found["nul"]["alerts"] == ["has no values"]
    assert found["one"]["alerts"] == ["is constant"]
    assert found["st"]["kind"] == "nested" and found["bin"]["frequent"][0]["value"] == "6162"
    assert found["b"]["leak"]["score"] == 1 and "may leak" in found["b"]["alerts"][0]
    assert found["x.y"]["leak"]["score"] < 0.7
    json.dumps(found.to_dict(), allow_nan=False)
    page = found.to_html()
    assert "v&lt;0&gt;" in page and "v<0>" not in page and "http" not in page.split("<body>")[1]


def test_partitions_do_not_matter_but_for_rounding(table):
    one, many = (profile(table.repartition(n)) for n in (1, 7))
    for a, b in zip(one.columns, many.columns, strict=True):
        for key in ("rows", "missing", "distinct", "min", "max"):
            assert a.get(key) == b.get(key)
        if a.get("distinct", 0) <= 256:  # of more values, the counts are bounds
            assert a.get("frequent") == b.get("frequent")
        for key in ("mean", "sd", "skewness", "kurtosis"):
            if a.get(key) is None:
                assert b.get(key) is None
            else:
                assert a[key] == pytest.approx(b[key], rel=1e-9, abs=1e-9)


def test_drift_of_the_same_table_is_none_and_of_another_is_not(table):
    same = drift(table, table)
    assert {(c["psi"], c.get("ks", 0), c.get("distance", 0)) for c in same.columns} == {(0, 0, 0)}
    half = drift(profile(table), profile(table.where("id >= 500").drop("b")))
    told = {c["name"]: c for c in half.columns}
    assert told["id"]["ks"] == pytest.approx(0.5, abs=0.01) and told["id"]["level"] == "much"
    assert told["s"]["level"] == "none" and half.gone == ["b"]
    assert "much" in half.to_html()


@pytest.mark.long
def test_two_thousand_columns(spark):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2000)))
    df = spark.createDataFrame(X.rename(columns=str))
    found = profile(df)
    assert len(found.columns) == 2000 and len(found.correlations["columns"]) == 100
    assert found["1999"]["mean"] == pytest.approx(X[1999].mean())
    assert found.to_html().count('class="fold"') == 20


def test_names_twice_and_no_rows(spark):
    df = spark.range(3).selectExpr("id AS a", "CAST(id AS string) AS a")
    assert [c["kind"] for c in profile(df).columns] == ["number", "text"]
    with pytest.raises(DataError, match="2 columns are named 'a'"):
        profile(df, target="a")
    for empty in (df.limit(0), df.where("1 = 0")):
        with pytest.raises(DataError, match="no rows"):
            profile(empty)
    with pytest.raises(DataError, match="no rows"):
        drift(df, df.limit(0))


def test_odd_names_and_values(spark):
    fields = [
        ("a.b `c` d", "double"), ("<script>alert(1)</script>", "string"), ('"q" & \'r\'', "float"),
        ("ntz", "timestamp_ntz"), ("bytes", "binary"), ("big", "decimal(38,4)"),
        ("gap", "interval day to second"), ("nest", "array<struct<a:map<string,int>>>"),
    ]  # fmt: skip
    names, types = zip(*fields, strict=True)
    schema = ", ".join(f"c{i} {t}" for i, t in enumerate(types))
    nan, inf, long = float("nan"), float("inf"), "<b>" + "y" * 200_000
    day, big = dt.datetime(2024, 2, 29, 12), decimal.Decimal("1" * 34 + ".5")
    rows = [
        (nan, long + "1", -inf, day, b"\xff" * 999, big, dt.timedelta(1), [({"a": 1},)]),
        (inf, long + "2", 1.5, day, b"", -big, None, []),
        (-0.0, "", None, None, None, None, None, None),
        (0.0, None, nan, day, b"", big, dt.timedelta(1), [({},), None]),
    ]
    found = profile(spark.createDataFrame(rows, schema).toDF(*names).repartition(2))
    a, script, quoted, ntz, data, decimals, gap, nest = found.columns
    assert (a["nan"], a["infinite"], a["distinct"], a["zeros"]) == (1, 1, 2, 2)
    assert (script["distinct"], script["missing"], script["lengths"]["max"]) == (3, 1, 200_004)
    assert max(len(v["value"]) for v in script["frequent"]) < 300
    assert (quoted["nan"], quoted["infinite"], quoted["mean"]) == (1, 1, 1.5)
    assert ntz["min"] == ntz["max"] == dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC).timestamp()
    assert data["frequent"][0] == {"value": "", "count": 2, "count_at_most": 2}
    assert decimals["max"] == float(big) and decimals["distinct"] == 2
    assert gap["kind"] == "text" and gap["distinct"] == 1 and nest["mean"] == 1
    json.dumps(found.to_dict(), allow_nan=False)
    for page in (found.to_html(), found._repr_html_(), drift(found, found).to_html()):
        assert page.isascii() and "<script" not in page and "<b>" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert len(page) < 60_000


def test_what_is_refused(spark, table):
    with pytest.raises(DataError, match="no columns"):
        profile(spark.range(2).select())
    with pytest.raises(DataError, match="Did you mean 'one'"):
        profile(table, target="onee")
    with pytest.raises(DataError, match="column_type"):
        profile(table, target="arr")
    with pytest.raises(ConfigurationError, match="leakAbove"):
        profile(table, leakAbove=2)
