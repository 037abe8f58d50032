"""Simulated silos and comparisons on DataFrames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.dataset.splits import row_key
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.federated.simulation import (
    compare_federated,
    label_skew,
    silo_metrics,
    with_silos,
)


@pytest.fixture(scope="module")
def rows(spark):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    frame["kind"] = np.where(frame.a + frame.b > 0, "up", "down")
    return spark.createDataFrame(frame).repartition(2).cache()


def test_silos_of_a_frame_are_those_of_arrays(rows):
    made = with_silos(rows, 4, column="kind", alpha=0.5, seed=3)
    found = made.select("silo", "kind", row_key(rows).alias("key")).toPandas()
    expected = label_skew(found.key, found.kind, 4, alpha=0.5, seed=3)
    assert found.silo.tolist() == [f"silo-{i:04d}" for i in expected]


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [{"skew": "quantity_skew"}, {"skew": "none"}, {"skew": "feature_shift", "column": "a"}],
    ids=str,
)
def test_other_skews(rows, settings):
    names = {r[0] for r in with_silos(rows, 3, **settings).select("silo").distinct().collect()}
    assert names <= {"silo-0000", "silo-0001", "silo-0002"} and len(names) >= 2


def test_what_cannot_be_is_refused(rows):
    for wrong in ({"skew": "lable"}, {}, {"column": "c"}, {"column": "kind", "alpha": -1.0}):
        with pytest.raises(SparkMLDistError):
            with_silos(rows, 3, **wrong)


def test_scores_of_silos(spark):
    frame = pd.DataFrame(
        {
            "silo": ["s", "s", "s", "t"],
            "label": ["yes", "no", "no", "yes"],
            "prediction": [1.0, 0.0, 1.0, 0.0],
            "probability": [[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]],
        }
    )
    found = silo_metrics(spark.createDataFrame(frame), classes=["no", "yes"])
    assert found.table["accuracy"].tolist() == pytest.approx([2 / 3, 0])
    assert found.table["log_loss"].tolist() == pytest.approx(
        [-np.log([0.8, 0.9, 0.4]).mean(), -np.log(0.3)]
    )
    assert (found.worst_silo, found.worst, found.pooled) == ("t", 0, 0.5)
    assert found.variance == pytest.approx((1 / 3) ** 2)
    assert found.to_dict()["silos"]["s"]["rows"] == 3
    numbers = frame.assign(label=[1.0, 0.0, 3.0, 2.0])
    found = silo_metrics(spark.createDataFrame(numbers))
    assert found.table["rmse"].tolist() == pytest.approx([np.sqrt(4 / 3), 2])
    assert found.worst_silo == "t" and found.pooled == pytest.approx(np.sqrt(2))


@pytest.mark.long
def test_federated_local_and_pooled_in_one_table(rows):
    made = with_silos(rows, 3, column="kind", alpha=0.5, seed=3)
    tree = DecisionTreeClassifier(max_depth=3)
    found = compare_federated(
        made,
        made,
        {"votes": sd.FederatedBaggingClassifier(estimator=tree, labelCol="kind")},
        sd.BaggingClassifier(estimator=tree, numMembers=1, numShards=1, labelCol="kind"),
    ).set_index("model")
    assert list(found.index) == ["votes", "pooled", "local only", "local, elsewhere"]
    assert found.loc["pooled", "accuracy"] > 0.85
    assert found.loc["local only", "accuracy"] > found.loc["local, elsewhere", "accuracy"]
    assert (found["worst"] <= found["accuracy"]).all()
