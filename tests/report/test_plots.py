"""Plots are written, as images with something on them."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from sparkml_dist.metrics.reliability import Reliability
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.accuracy import plot_accuracy_by_members
from sparkml_dist.report.plots.confusion import _short_number, plot_confusion
from sparkml_dist.report.plots.curve import plot_stopping_curve
from sparkml_dist.report.plots.figure import legible
from sparkml_dist.report.plots.history import plot_history
from sparkml_dist.report.plots.reliability import plot_reliability
from sparkml_dist.report.plots.seconds import plot_seconds


@pytest.fixture
def folder(tmp_path):
    return Folder.at(tmp_path / "plots")


def looked_at(folder, name):
    """Return the picture as an array, after checking that it is one with something on it."""
    from matplotlib.image import imread

    picture = imread(io.BytesIO(folder.read_bytes(name)), format="png")
    assert min(picture.shape[:2]) > 300
    colours = (picture[..., :3] * 255).astype(np.uint32) @ np.array([1, 256, 256**2], np.uint32)
    assert len(np.unique(colours)) > 20
    # Drawn to its margins: nothing dark is cut off at the edge.
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge[:, :3].min() > 0.9
    return picture


@pytest.mark.parametrize("k", [2, 3, 10, 26, 100])
def test_confusion_matrix(folder, k):
    rng = np.random.default_rng(k)
    counts = rng.poisson(1, (k, k)) + np.diag(rng.integers(50, 20_000, k))
    classes = [f"class number {i:03d} of them" for i in range(k)] if k != 10 else list(range(k))
    location = plot_confusion(counts, classes, folder)
    assert location == folder.uri("confusion_matrix.png")
    looked_at(folder, "confusion_matrix.png")


# None of these is a formula of matplotlib's, and all are names that people give.
NAMES = [
    "$",
    "$$",
    "$$$",
    "$x$",
    "a$b$c_{",
    r"\$\frac{",
    "_none",
    "x_1^2",
    "two\nlines",
    "\U0001f600",
]
NAMES += ["日本", "\x00", "", " ", "x" * 500, "%s {0}", "\ud83d"]


def test_names_that_look_like_formulas(folder, recwarn):
    k = len(NAMES)
    plot_confusion(np.eye(k) * 20, NAMES, folder, title="$$ of $x")
    edges, rows = np.linspace(0, 1, 3), np.array([5, 700])
    curve = Reliability(edges, np.array([0.2, 0.7]), np.array([0.2, 0.7]), rows, 0.1, 0.2, "$$$")
    plot_reliability({"_$a$": curve, "$": curve}, folder)
    for name in ("confusion_matrix.png", "reliability.png"):
        looked_at(folder, name)
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_a_class_without_rows_divides_by_nothing(folder):
    plot_confusion(np.array([[5.0, 1.0], [0.0, 0.0]]), [False, True], folder)
    plot_confusion(np.zeros((2, 2)), ["a", "b"], folder, "empty.png")
    looked_at(folder, "confusion_matrix.png")


@pytest.mark.parametrize("members", [1, 8, 100])
def test_accuracy_by_members(folder, members):
    plot_accuracy_by_members(0.9 - 0.4 / np.arange(1, members + 1), folder, rows=3000)
    looked_at(folder, "accuracy_by_members.png")


def test_metrics_by_epoch(folder):
    history = {"accuracy": [0.5, 0.7], "loss": [1.0, 0.5], "confusion": [[1, 2], [3, 4]]}
    assert plot_history(history, folder) == folder.uri("metrics_by_epoch.png")
    validated = {**history, "val_accuracy": [0.4, 0.6], "val_loss": [1.1, float("nan")]}
    plot_history(validated, folder, "both.png", best_epoch=1, held_out={"accuracy": 0.65})
    plot_history({"loss": [1.0]}, folder, "loss.png", held_out={"loss": None})
    pictures = [looked_at(folder, n) for n in ("metrics_by_epoch.png", "both.png", "loss.png")]
    # A panel for each metric that is a number.
    assert pictures[0].shape[1] == pictures[1].shape[1] > pictures[2].shape[1]


@pytest.mark.parametrize(("unit", "count"), [("rank", 1), ("rank", 2), ("member", 300)])
def test_seconds(folder, unit, count):
    plot_seconds({"fit": np.ones(count), "read and commit": np.ones(count)}, unit, folder)
    looked_at(folder, f"seconds_by_{unit}.png")


@pytest.mark.parametrize("of", ["yes", None])
def test_reliability(folder, of):
    edges, rows = np.linspace(0, 1, 6), np.array([900, 3, 0, 20, 40])
    predicted = np.where(rows > 0, (edges[1:] + edges[:-1]) / 2, np.nan)
    curve = Reliability(edges, predicted, predicted**2, rows, 0.1, 0.2, of)
    plot_reliability(curve, folder)
    plot_reliability({"before": curve, "after": curve}, folder, "two.png")
    one, two = looked_at(folder, "reliability.png"), looked_at(folder, "two.png")
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


@pytest.mark.parametrize(
    ("metric", "scores", "best"),
    [("auc", [0.5], 1), ("log_loss", [0.7, 0.5, 0.4, 0.42], 3), ("r2", [float("nan"), 0.2], 2)],
)
def test_stopping_curve(folder, metric, scores, best):
    curve = {"metric": metric, "rows": 10_000, "scores": scores, "best": best, "stopped": best > 2}
    assert plot_stopping_curve(curve, folder) == folder.uri("stopping_curve.png")
    looked_at(folder, "stopping_curve.png")


def test_pyplot_stays_out(folder):
    plot_accuracy_by_members([0.5], folder)
    assert "matplotlib.pyplot" not in sys.modules


def test_long_names_and_numbers_are_shortened():
    assert legible("a class with a very long name", 18) == "a class wit…g name"
    assert legible(3.0, 18) == "3"
    assert legible("two\nlines\x00\ud83d\\_$", 18) == "two lines\ufffd\ufffd\\_$"
    assert [_short_number(v) for v in (7, 9999, 12_345, 2.5e6, 0.25)] == [
        "7",
        "9999",
        "12.3k",
        "2.5M",
        "0.25",
    ]
