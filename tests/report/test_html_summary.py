"""Models as notebooks show them: well-formed, escaped, without scripts."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.deep.classifier import KerasClassificationModel
from sparkml_dist.deep.estimator import KerasModel
from sparkml_dist.ensemble.bagging.bagging import BaggingClassificationModel, BaggingRegressionModel
from sparkml_dist.ensemble.calibration.model import CalibratedClassificationModel
from sparkml_dist.persistence.filesystem import Folder

SCHEMA = FeatureSchema(
    (FeatureColumn("x", "numeric"), FeatureColumn("<b>&", "categorical", 1, ("u", "v")))
)
LABEL = Label("what<script>", "string", ("<i>no</i>", "yes & more"))


def records(*learners):
    return [
        {"member": i, "learner": name, "bag_rows": 1000 + i, "seconds": 0.5}
        for i, name in enumerate(learners)
    ]


def bagging(summary, kind=BaggingClassificationModel, label=LABEL, members=3):
    content = {"voting": "soft", "members": [{"weight": 1.0}] * members}
    return kind(Folder("/models/a<b>"), SCHEMA, label, (), content, summary)


def parsed(model):
    text = model._repr_html_()
    assert text.isascii()
    tree = ElementTree.fromstring(text)
    names = {element.tag for element in tree.iter()}
    html = {"div", "strong", "table", "tbody", "tr", "th", "td", "code", "span"}
    assert names <= html | {"svg", "path"}
    assert model._repr_html_() == text  # names of elements are not drawn at random
    assert "href" not in text
    assert "url(" not in text
    return tree, {row[0].text: "".join(row[1].itertext()) for row in tree.iter("tr")}


@pytest.fixture
def spark_ml(spark):
    """Spark ML's classes give themselves ids by way of the session."""
    return spark


def test_a_fitted_ensemble(spark_ml):
    summary = {
        "members": records("Tree(<x>)", "Tree(<x>)", "Tree(<x>)"),
        "seconds": {"member_fit": 1.5, "fit": 1234.56},
        "peak_worker_rss_mb": 210.4,
        "oob": {"metrics": {"accuracy": 0.91234, "log_loss": 0.3, "roc_auc": None}, "rows": 12_345},
        "curve": {
            "metric": "log_loss",
            "rows": 999,
            "scores": [float("nan"), 0.5, 0.4, 0.45],
            "best": 3,
            "stopped": True,
        },
    }
    model = bagging(summary)
    model._importances = {"x": 0.25, "<b>&": 0.75}
    tree, shown = parsed(model)
    assert shown == {
        "predicts": "what<script>, 2 classes: <i>no</i>, yes & more",
        "features": "2, 1 of them categories",
        "members": "3 × Tree(<x>)",
        "voting": "soft",
        "rows per member": "1,000 to 1,002",
        "out of bag": "accuracy 0.9123, log loss 0.3 (12,345 rows)",
        "stopping curve": " log loss 0.4000 with 3 of 4 members (999 held-out rows)",
        "importances": "<b>& 0.750x 0.250",
        "seconds": "member fit 1.5, fit 1,234.6",
        "peak memory": "210 MiB in a worker",
        "folder": "/models/a<b>",
    }
    line, dot = (_points(path.get("d")) for path in tree.iter("path"))
    assert len(line) == 3  # the one that is not a number is left out
    # In SVG, down is up: the least loss is the lowest point, and has the dot around it.
    assert line[1] == max(line, key=lambda point: point[1])
    assert np.mean([min(dot), max(dot)], axis=0) == pytest.approx(line[1], abs=0.01)
    assert all(0 <= x <= 180 and 0 <= y <= 36 for x, y in line + dot)


def _points(path):
    numbers = [float(word) for word in path.split() if not word.isalpha()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_learners_of_several_kinds_and_little_known(spark_ml):
    _, shown = parsed(bagging({"members": records("A", "B", "A")}))
    assert shown["members"] == "3: 2 × A, 1 × B"
    _, shown = parsed(bagging({}))
    assert shown["members"] == "3"
    assert "seconds" not in shown
    regression = bagging({}, BaggingRegressionModel, Label("price", "target"))
    assert parsed(regression)[1]["predicts"] == "price, a number"
    many = Label("label", "integer", tuple(range(26)))
    shown = parsed(bagging({}, label=many))[1]["predicts"]
    assert shown == "label, 26 classes: 0, 1, 2, 3, 4, 5, 6, 7, …"
    one = {"metric": "auc", "rows": 9, "scores": [0.5], "best": 1, "stopped": False}
    assert "auc 0.5000 with 1 of 1" in parsed(bagging({"curve": one}))[1]["stopping curve"]


def test_other_kinds_of_model(spark_ml):
    settings = (Folder("/m"), SCHEMA, LABEL, ())
    calibrated = CalibratedClassificationModel(
        *settings,
        {"calibration": {"method": "isotonic", "curves": []}, "base": "BaggingModel"},
        {"calibration": {"rows": 4000}, "seconds": {"fit": 1.0}},
    )
    assert parsed(calibrated)[1]["calibration"] == "isotonic of a BaggingModel, on 4,000 rows"
    network = KerasClassificationModel(
        *settings, {"logits": True}, {"ranks": [{}, {}], "parameters": 1_234_567, "seconds": {}}
    )
    shown = parsed(network)[1]
    assert (shown["ranks"], shown["parameters"]) == ("2", "1,234,567")
    assert re.search(r"KerasClassificationModel</strong>", network._repr_html_())


def test_the_epochs_of_a_network():
    history = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.25, 1.5]}
    settings = (Folder("/m"), SCHEMA, LABEL, (), {})
    network = KerasClassificationModel(*settings, {"history": history, "best_epoch": 1})
    assert "3; val_loss 1.25 in epoch 2, the best" in parsed(network)[1]["epochs"]
    network = KerasClassificationModel(*settings, {"history": {"loss": [2.0, 1.0]}})
    assert "2; loss 1" in parsed(network)[1]["epochs"]
    outputs = [{"name": "price", "shape": [1], "target": "number"}]
    several = KerasModel(*settings[:4], {"facts": {"kind": "dict", "outputs": outputs}}, {})
    assert parsed(several)[1]["predicts"] == "price"
