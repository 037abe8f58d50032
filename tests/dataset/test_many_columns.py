"""Columns in one expression, whatever they are called."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkml_dist.dataset.many_columns import number_array, quoted

NAMES = ["a.b", "it`s", "select", 'a "quoted" one', "a b, c)", "Ä\n1", "x"]


@pytest.fixture(scope="module")
def frame(spark):
    rows = [(1, 2.5, True, 4, -1e30, 6, 0.1), (None,) * 7, (7, 8.0, False, 10, 1e-3, 12, None)]
    kinds = ["int", "double", "boolean", "bigint", "double", "decimal(9,2)", "float"]
    plain = spark.createDataFrame(
        [tuple(_fit(v, k) for v, k in zip(row, kinds, strict=True)) for row in rows],
        ", ".join(f"c{i} {kind}" for i, kind in enumerate(kinds)),
    )
    return plain.toDF(*NAMES)


def _fit(value, kind):
    from decimal import Decimal

    return Decimal(value) if kind.startswith("decimal") and value is not None else value


@pytest.mark.modes
@pytest.mark.parametrize("kind", ["float", "double"])
def test_an_array_of_columns(frame, kind):
    """As of columns that are cast one by one."""
    wanted = F.array(*[F.col(name).cast(kind) for name in quoted(NAMES)])
    rows = frame.select(wanted, number_array(NAMES, kind)).collect()
    assert all(one == other for one, other in rows)
    filled = frame.select(number_array(NAMES, kind, null_is_nan=True)).toPandas().iloc[:, 0]
    for (one, _), values in zip(rows, filled, strict=True):
        np.testing.assert_array_equal(np.array(one, float), np.array(values, float))


def test_names_reach_their_columns(frame):
    found = frame.select(*quoted(NAMES[:4])).columns
    assert found == NAMES[:4]


def test_names_with_backticks_everywhere(spark):
    """Each of these named its column within backticks, and failed on one in the name."""
    from sparkml_dist import BaggingClassifier, FrequentItemsets, event_sequences
    from sparkml_dist.metrics.evaluation import evaluate_classification

    baskets = spark.createDataFrame([(["a", "b"],), (["a"],)], "`a``b` array<string>")
    found = FrequentItemsets(itemsCol="a`b", minSupport=1.0).fit(baskets)
    assert [r["items"] for r in found.itemsets.collect()] == [["a"]]
    events = spark.createDataFrame(
        [(1, 2, "x"), (1, 1, "y")], "```` long, `t``` long, `i``` string"
    )
    rows = event_sequences(events, entity="`", time="t`", item="i`").collect()
    assert len(rows) == 1
    df = spark.createDataFrame(
        [(float(i), i % 2, 1.0) for i in range(20)], "`x``` double, `y``` int, `w``` double"
    )
    from sklearn.tree import DecisionTreeClassifier

    model = BaggingClassifier(
        estimator=DecisionTreeClassifier(),
        featuresCols=["x`"],
        labelCol="y`",
        weightCol="w`",
        numMembers=2,
        numShards=1,
    ).fit(df)
    scored = model.transform(df)
    scores = evaluate_classification(scored, label_col="y`", classes=model.classes, weight_col="w`")
    assert scores.rows == 20
