"""Errors of a network's outputs on held-out rows, against NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkml_dist.cli.output_metrics import evaluate_outputs
from sparkml_dist.deep.network.output_facts import Output, OutputFacts


def model(kind, outputs, given, classes=()):
    """A fitted network as far as its metrics look at it, which gives a SQL expression."""
    return SimpleNamespace(
        content={"facts": OutputFacts(kind, outputs).to_dict()},
        label=SimpleNamespace(classes=list(classes)),
        getPredictionCol=lambda: "prediction",
        transform=lambda df: df.withColumn("prediction", F.expr(given)),
    )


@pytest.fixture(scope="module")
def table(spark):
    values = np.random.default_rng(3).normal(size=(50, 3))
    values[7, 0] = np.nan
    frame = spark.createDataFrame(
        [(float(a), float(b), float(c), "yes") for a, b, c in values],
        "a double, x1 double, x2 double, kind string",
    ).coalesce(1)
    return frame, values


def test_several_outputs(table):
    frame, values = table
    towers = model(
        "dict",
        (
            Output("price", (1,), "columns"),
            Output("both", (2,), "columns"),
            Output("sold", (2,), "codes"),
        ),
        "named_struct('price', x1, 'both', array(float(0), float(1)), 'sold', array(x1, x2))",
        ["no", "yes"],
    )
    found = evaluate_outputs(towers, frame, {"both": ["x*"], "sold": "kind", "price": "a"})
    assert found.rows == 50
    price, both = values[:, 1] - values[:, 0], values[:, 1:] - [0, 1]
    wanted = {
        "price/rmse": np.sqrt(np.nanmean(price**2)),
        "price/mae": np.nanmean(np.abs(price)),
        "both/rmse": np.sqrt(np.mean(both**2)),
        "both/mae": np.mean(np.abs(both)),
        "sold/accuracy": np.mean(values[:, 2] > values[:, 1]),
    }
    assert found.to_dict() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("label", "classes", "wanted"),
    [
        ("id % 2 = 0", [False, True], 0.5),  # right for 1, 2 and 4
        ("id % 3", [0, 1, 2], 0.5),  # right for 0, 2 and 5
        # Null, and a class that nobody knew, count for nothing.
        ("CASE id WHEN 0 THEN null WHEN 1 THEN 'z' ELSE 'b' END", ["a", "b"], 1.0),
    ],
)
def test_accuracy_of_labels_of_any_type(spark, label, classes, wanted):
    """The output is the first class for rows 0 and 1, the last class for rows 2 to 5."""
    frame = spark.range(6).selectExpr("id", f"{label} AS label")
    last = [*[0.1] * (len(classes) - 1), 0.7]
    given = f"IF(id < 2, array{tuple(last[::-1])}, array{tuple(last)})"
    network = model("single", (Output("output", (len(classes),), "one_hot"),), given, classes)
    assert evaluate_outputs(network, frame, "label").to_dict() == {"accuracy": wanted}


def test_a_width_that_is_not_that_of_the_classes_is_left_to_the_loss(spark):
    frame = spark.range(4).selectExpr("id", "id % 2 AS label")
    one = model("single", (Output("output", (1,), "codes"),), "double(id)", [0, 1])
    assert evaluate_outputs(one, frame, "label").to_dict() == {}


def test_one_output_and_nothing_to_compare_it_with(table):
    frame, _ = table
    one = model("single", (Output("output", (1,), "columns"),), "a + 2")
    found = evaluate_outputs(one, frame, "a")
    assert found.to_dict() == pytest.approx({"rmse": 2, "mae": 2})
    found = evaluate_outputs(one, frame.filter("isnan(a)"), ["a"])
    assert (found.rows, found.to_dict()) == (1, {"rmse": None, "mae": None})
