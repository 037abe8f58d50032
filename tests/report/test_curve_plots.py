"""Plots of score curves and of partial dependence."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.metrics.auc import ProbabilityBins
from sparkml_dist.metrics.feature_dependence import FeatureDependence, PartialDependence
from sparkml_dist.metrics.score_curve import ScoreCurve, ScoreCurves
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.partial_dependence import plot_partial_dependence
from sparkml_dist.report.plots.score_curves import plot_precision_recall, plot_roc
from tests.report.test_plots import figures, looked_at, texts  # noqa: F401 - a fixture


@pytest.fixture
def folder(tmp_path):
    return Folder.at(tmp_path / "plots")


def curves(k, n=5000):
    rng = np.random.default_rng(0)
    bins, found = ProbabilityBins(k), []
    for i in range(k):
        y = rng.random(n) < 0.2
        p = 1 / (1 + np.exp(-rng.normal(size=n) - y * i / 3))
        at = bins.index(p)
        positive, negative = (np.bincount(at, side, bins.size) for side in (y, ~y))
        found.append(ScoreCurve.of_histograms(f"class ${i}", bins, positive, negative))
    return ScoreCurves(tuple(found), n)


@pytest.mark.parametrize("k", [1, 3, 26])
def test_roc_and_precision_recall(folder, figures, k):  # noqa: F811
    found = curves(k)
    for plot, name in (
        (plot_roc, "roc_curve.png"),
        (plot_precision_recall, "precision_recall.png"),
    ):
        assert plot(found, folder).endswith(name)
        looked_at(folder, name)
        shown = texts(figures[-1])
        assert sum("class class $" in text for text in shown) == min(k, 7)
        assert any("7 worst of 26" in text for text in shown) == (k == 26)
        assert all(len(line.get_xdata()) < 2_500 for line in figures[-1].axes[0].lines)
    area = found.curves[0].roc_auc
    assert any(f"area {area:.3f}" in text for text in texts(figures[-2]))


def test_models_by_name_and_curves_without_area(folder, figures):  # noqa: F811
    one = curves(1).curves[0]
    plot_roc({"bags": one, "_stack": one}, folder)
    assert any("_stack" in text for text in texts(figures[-1]))
    empty = ScoreCurve("a", *np.zeros((3, 0)))
    plot_roc(ScoreCurves((empty,), 0), folder)
    plot_precision_recall(ScoreCurves((empty,), 0), folder)


def dependence(features, classes=("no", "yes")):
    rng = np.random.default_rng(0)
    found = []
    for i in range(features):
        shape = (5, len(classes)) if classes else (5,)
        values = tuple("abcde") if i % 3 == 0 else (0.0, 1.0, 2.0, 3.0, 4.0)
        deciles = () if i % 3 == 0 else (0.5, 1.0, 9.0)
        found.append(FeatureDependence(f"feature {i}", values, rng.random(shape), deciles))
    found.append(FeatureDependence("missing", (), np.zeros((0, *shape[1:]))))
    return PartialDependence(tuple(found), classes, "target", 100)


@pytest.mark.parametrize(
    ("features", "classes"),
    [
        (1, ()),
        (1, ("", "not long", "a long name of a class", *"defghi")),
        (2, ("no", "yes")),
        (7, tuple("abc")),
        (30, tuple("a" * 9)),
    ],
)
def test_partial_dependence(folder, figures, features, classes):  # noqa: F811
    plot_partial_dependence(dependence(features, classes), folder)
    looked_at(folder, "partial_dependence.png")
    shown = texts(figures[-1])
    assert sum(text.startswith("feature ") for text in shown) == min(features, 24)
    assert ("mean target" in shown) == (not classes)
    assert ("Partial dependence: class yes" in shown) == (len(classes) == 2)


def test_classes_by_name(folder, figures):  # noqa: F811
    plot_partial_dependence(dependence(2), folder, of=["no"])
    assert "Partial dependence: class no" in texts(figures[-1])
    with pytest.raises(SparkMLDistError, match="maybe"):
        plot_partial_dependence(dependence(2), folder, of=["maybe"])
