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
from tests.long import cases


@pytest.fixture
def folder(tmp_path):
    return Folder.at(tmp_path / "plots")


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, in turn, to ask what is on them."""
    from sparkml_dist.report.plots import shown_figure

    drawn = []

    class Recorded(shown_figure.ShownFigure):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            drawn.append(self)

    monkeypatch.setattr(shown_figure, "ShownFigure", Recorded)
    return drawn


def texts(figure):
    """Return all that is written on a figure."""
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def lines(axes):
    """Return the heights of the curves on some axes, those of more than two points."""
    return [line.get_ydata().tolist() for line in axes.lines if len(line.get_ydata()) > 2]


def looked_at(folder, name):
    """Return the picture as an array, after checking that it is one with something on it."""
    from matplotlib.image import imread

    picture = imread(io.BytesIO(folder.read_bytes(name)), format="png")
    assert min(picture.shape[:2]) > 300
    assert 0.01 < (picture[..., :3].min(axis=2) < 0.95).mean() < 0.9
    # Drawn to its margins: nothing dark is cut off at the edge.
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge[:, :3].min() > 0.9
    return picture


@pytest.mark.parametrize("k", cases([2, 3, 10, 26, 100], [2, 10, 100]))
def test_confusion_matrix(folder, figures, k):
    rng = np.random.default_rng(k)
    counts = rng.poisson(1, (k, k)) + np.diag(rng.integers(50, 20_000, k))
    classes = [f"class number {i:03d} of them" for i in range(k)] if k != 10 else list(range(k))
    location = plot_confusion(counts, classes, folder)
    assert location == folder.uri("confusion_matrix.png")
    looked_at(folder, "confusion_matrix.png")
    axes = figures[0].axes[0]
    share = axes.images[0].get_array()
    assert np.allclose(share, counts / counts.sum(axis=1, keepdims=True))
    right = np.trace(counts) / counts.sum()
    assert f"Confusion matrix\n{right:.1%} of {counts.sum():,} rows right" in texts(figures[0])
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [legible(c, 18) for c in classes][:: 2 if k > 60 else 1]
    # In each cell its own number, where numbers fit.
    cells = {tuple(map(int, t.get_position()[::-1])): t.get_text() for t in axes.texts}
    wanted = {at: _short_number(n) for at, n in np.ndenumerate(counts) if n or k <= 10}
    assert cells == (wanted if k <= 40 else {})


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


def test_names_that_look_like_formulas(folder, figures, recwarn):
    k = len(NAMES)
    plot_confusion(np.eye(k) * 20, NAMES, folder, title="$$ of $x")
    edges, rows = np.linspace(0, 1, 3), np.array([5, 700])
    curve = Reliability(edges, np.array([0.2, 0.7]), np.array([0.2, 0.7]), rows, 0.1, 0.2, "$$$")
    plot_reliability({"_$a$": curve, "$": curve}, folder)
    for name in ("confusion_matrix.png", "reliability.png"):
        looked_at(folder, name)
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    written = texts(figures[0])
    assert {"$x$", "a$b$c_{", "x_1^2", "two lines"} <= set(written)
    assert any(text.startswith("$$ of $x\n") for text in written)


def test_a_class_without_rows_divides_by_nothing(folder):
    plot_confusion(np.array([[5.0, 1.0], [0.0, 0.0]]), [False, True], folder)
    plot_confusion(np.zeros((2, 2)), ["a", "b"], folder, "empty.png")
    looked_at(folder, "confusion_matrix.png")


@pytest.mark.parametrize("members", cases([1, 8, 100], [1, 100]))
def test_accuracy_by_members(folder, figures, members):
    accuracy = 0.9 - 0.4 / np.arange(1, members + 1)
    plot_accuracy_by_members(accuracy, folder, rows=3000)
    looked_at(folder, "accuracy_by_members.png")
    curve, level = figures[0].axes[0].lines
    assert curve.get_xdata().tolist() == list(range(1, members + 1))
    assert curve.get_ydata().tolist() == accuracy.tolist()
    assert set(level.get_ydata()) == {accuracy[-1]}
    wanted = {f"all {members}: {accuracy[-1]:.4f}", "accuracy on 3,000 held-out rows"}
    assert wanted <= set(texts(figures[0]))


def test_metrics_by_epoch(folder, figures):
    history = {"accuracy": [0.5, 0.7], "loss": [1.0, 0.5], "confusion": [[1, 2], [3, 4]]}
    assert plot_history(history, folder) == folder.uri("metrics_by_epoch.png")
    validated = {**history, "val_accuracy": [0.4, 0.6], "val_loss": [1.1, float("nan")]}
    plot_history(validated, folder, "both.png", best_epoch=1, held_out={"accuracy": 0.65})
    plot_history({"loss": [1.0]}, folder, "loss.png", held_out={"loss": None})
    pictures = [looked_at(folder, n) for n in ("metrics_by_epoch.png", "both.png", "loss.png")]
    # A panel for each metric that is a number.
    assert pictures[0].shape[1] == pictures[1].shape[1] > pictures[2].shape[1]
    loss, accuracy = figures[1].axes
    assert loss.get_title(loc="left") == "Loss by epoch"
    assert [list(line.get_ydata()) for line in accuracy.lines[:2]] == [[0.5, 0.7], [0.4, 0.6]]
    assert list(loss.lines[0].get_ydata()) == [1.0, 0.5]
    assert {"training", "validation", "kept: 2"} <= set(texts(figures[1]))
    assert "held-out rows, at the end (0.65)" in texts(figures[1])
    assert "validation" not in texts(figures[0])


@pytest.mark.parametrize(
    ("unit", "count"),
    cases([("rank", 1), ("rank", 2), ("member", 300)], [("rank", 1), ("member", 300)]),
)
def test_seconds(folder, figures, unit, count):
    fit = np.arange(1.0, count + 1)
    plot_seconds({"fit": fit, "read and commit": np.ones(count)}, unit, folder)
    looked_at(folder, f"seconds_by_{unit}.png")
    below, above = figures[0].axes[0].containers
    assert [bar.get_height() for bar in below] == fit.tolist()
    assert [bar.get_y() for bar in above] == fit.tolist()
    assert {bar.get_height() for bar in above} == {1.0}
    assert {"fit", "read and commit", f"Seconds of each {unit}"} <= set(texts(figures[0]))
    median = f"median in all ({np.median(fit) + 1:.3g} s)"
    assert (median in texts(figures[0])) == (count > 1)


@pytest.mark.parametrize("of", ["yes", None])
def test_reliability(folder, figures, of):
    edges, rows = np.linspace(0, 1, 6), np.array([900, 3, 0, 20, 40])
    predicted = np.where(rows > 0, (edges[1:] + edges[:-1]) / 2, np.nan)
    curve = Reliability(edges, predicted, predicted**2, rows, 0.1, 0.2, of)
    plot_reliability(curve, folder)
    plot_reliability({"before": curve, "after": curve}, folder, "two.png")
    one, two = looked_at(folder, "reliability.png"), looked_at(folder, "two.png")
    assert one.shape == two.shape
    assert not np.array_equal(one, two)
    # Bins without rows have no point; the diagonal is the one line of two points.
    some = rows > 0
    upper, lower = figures[0].axes
    assert lines(upper) == [(predicted[some] ** 2).tolist()]
    assert lower.patches[0].get_data().values.tolist() == rows.tolist()
    assert "model: ECE 0.100, Brier 0.200" in texts(figures[0])
    what = "class yes" if of else "the predicted class"
    assert f"predicted probability of {what}" in texts(figures[0])
    assert len(lines(figures[1].axes[0])) == 2


@pytest.mark.parametrize(
    ("metric", "scores", "best"),
    [("auc", [0.5], 1), ("log_loss", [0.7, 0.5, 0.4, 0.42], 3), ("r2", [float("nan"), 0.2], 2)],
)
def test_stopping_curve(folder, figures, metric, scores, best):
    curve = {"metric": metric, "rows": 10_000, "scores": scores, "best": best, "stopped": best > 2}
    assert plot_stopping_curve(curve, folder) == folder.uri("stopping_curve.png")
    looked_at(folder, "stopping_curve.png")
    curve, _, mark = figures[0].axes[0].lines
    assert np.array_equal(curve.get_ydata(), scores, equal_nan=True)
    assert (mark.get_xdata(), mark.get_ydata()) == ([best], [scores[best - 1]])
    written = " ".join(texts(figures[0]))
    assert f"best with {best}: {scores[best - 1]:.4f}" in written
    assert (f"stopped at {len(scores)}" in written) == (best > 2)
    assert "10,000 held-out rows" in written


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
