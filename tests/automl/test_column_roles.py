"""What becomes of a column, by its profile alone."""

from __future__ import annotations

import pytest

from sparkml_dist.automl.column_roles import decide, is_skewed, is_worded
from sparkml_dist.automl.label_alerts import label_alerts


def column(kind="number", type_="int", count=1000, distinct=50, name="x", missing=0, **more):
    found = {"name": name, "kind": kind, "type": type_, "rows": count + missing, "count": count}
    found |= {"missing": missing, "distinct": distinct, "distinct_is_exact": True}
    return {**found, "min": 0, "max": 10_000, **more}


@pytest.mark.parametrize(
    ("facts", "kind", "words", "role", "reason"),
    [
        (column(), "number", None, "number", ""),
        (column(count=0, missing=9, distinct=0), "number", None, None, "has no values"),
        (column(count=9, nan=5, infinite=4), "number", None, None, "has no values"),
        (column(distinct=1), "number", None, None, "is constant"),
        (column(distinct=1, missing=3), "number", None, "number", ""),
        (column(distinct=1, nan=3), "number", None, "number", ""),
        (column(distinct=1, distinct_is_exact=False), "number", None, "number", ""),
        (column(distinct=1000, max=999), "number", None, None, "numbers the rows"),
        (column(distinct=1000), "number", None, "number", ""),
        (column(distinct=1000, name="userId"), "number", None, None, "named like a key"),
        (column(distinct=1000, name="order_id"), "number", None, None, "named like a key"),
        (column(distinct=1000, name="paid"), "number", None, "number", ""),
        (column(distinct=1000, type_="double", max=999), "number", None, "number", ""),
        (column(distinct=15, count=15, max=14), "number", None, "number", ""),
        (column("text", "string"), "string", None, "category", ""),
        (column("text", "string", distinct=900), "string", 1.0, "category", ""),
        (column("text", "string", distinct=900), "string", 3.5, "text", ""),
        (column("text", "string", distinct=1000), "string", 1.2, None, "identifies rows"),
        (column("text", "string", count=10**6, distinct=20_000), "string", 1.0, "text", ""),
        (column("date", "date"), "date", None, "date", ""),
        (column("timestamp", "timestamp"), "timestamp", None, "timestamp", ""),
        (column("lengths", "array<double>"), "vector", None, "vector", ""),
    ],
)
def test_decisions(facts, kind, words, role, reason):
    found = decide(facts, kind, words, None)
    assert found.role == role
    assert reason in found.reason and bool(reason) == (role is None)


def test_what_the_user_says_goes_unless_there_is_nothing():
    assert decide(column(distinct=1000, max=999), "number", None, "category").role == "category"
    assert decide(column(distinct=1), "number", None, "category").role is None


def test_strings_that_may_be_texts():
    assert is_worded(column("text", "string", distinct=101), 100)
    assert not is_worded(column("text", "string", distinct=100), 100)
    assert is_worded(column("text", "string", count=40, distinct=30), 100)
    assert not is_worded(column(distinct=500), 100)


def test_heavy_tails():
    assert is_skewed(column(skewness=-4.0, kurtosis=3.0))
    assert is_skewed(column(skewness=0.0, kurtosis=50.0))
    assert not is_skewed(column(skewness=1.0, kurtosis=1.0))
    assert not is_skewed(column(skewness=40.0, kurtosis=900.0, distinct=2))
    assert not is_skewed(column(skewness=None, kurtosis=None))


def test_alerts_of_labels():
    values = [{"value": "a", "count": 995}, {"value": "b", "count": 5}]
    rare = column("text", "string", distinct=2, frequent=values)
    assert label_alerts(rare, 1000) == ["its rarest value b has 5 of 1,000 rows"]
    many = column("text", "string", distinct=900, missing=10, frequent=values)
    assert label_alerts(many, 1010) == [
        "is missing in 10 of 1,010 rows",
        "nearly all values are distinct: is it an identifier?",
    ]
    assert label_alerts(column(type_="double", distinct=1000, frequent=values), 1000) == []
