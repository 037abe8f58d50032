"""Plots of a search show its trials, at any number of them and of parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparkml_dist.report.plots.search.history import plot_search_history
from sparkml_dist.report.plots.search.importance import (
    parameter_importance,
    plot_parameter_importance,
)
from sparkml_dist.report.plots.search.parallel import _scale, plot_parallel_coordinates
from sparkml_dist.report.plots.search.pareto import plot_pareto_front
from sparkml_dist.report.plots.search.rungs import plot_rungs
from sparkml_dist.search.pareto import pareto_front
from tests.report.search_trials import made_up
from tests.report.test_plots import NAMES, figures, folder, looked_at, texts  # noqa: F401

SIZES = [(3, 1), (3, 4), (50, 4), (1000, 4), (50, 14)]


def succeeded(trials):
    return [t for t in trials if t["score"] is not None]


@pytest.mark.parametrize(("trials", "params"), SIZES[1:4])
@pytest.mark.parametrize("larger", [True, False])
def test_history(folder, figures, trials, params, larger):  # noqa: F811
    of = made_up(trials, params)
    if not larger:
        of = [{**t, "score": t["score"] and 1 - t["score"]} for t in of]
    metric = "accuracy" if larger else "log_loss"
    where = plot_search_history(of, metric, folder, larger_is_better=larger)
    assert where == folder.uri("search_history.png")
    looked_at(folder, "search_history.png")
    axes = figures[0].axes[0]
    able = succeeded(of)
    scores = np.array([t["score"] for t in able])
    best = (np.maximum if larger else np.minimum).accumulate(scores)
    step, mark = axes.lines
    assert step.get_ydata().tolist() == best.tolist()
    assert step.get_xdata().tolist() == [t["number"] for t in able]
    won = able[int((scores if larger else -scores).argmax())]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([won["number"]], [won["score"]])
    title = f"Best of {trials:,} trials: {won['score']:.4g} (trial {won['number']})"
    assert title in texts(figures[0])
    # Each trial is a point or a mark at the edge, and the best 90% are points.
    points, *edges = [c.get_offsets() for c in axes.collections]
    low, high = axes.get_ylim()
    assert all(low <= y <= high for _, y in points)
    assert len(points) + sum(map(len, edges)) == trials
    assert len(points) >= math.ceil(0.9 * len(able)) - 1
    shown = {(int(x), y) for x, y in points}
    assert shown <= {(t["number"], t["score"]) for t in able}
    worst = scores.min() if larger else scores.max()
    assert all(y == (low if larger else high) for edge in edges for _, y in edge)
    if trials >= 50:
        assert not low <= worst <= high
        assert f"failed ({trials - len(able)})" in texts(figures[0])


def test_history_without_a_score(folder, figures):  # noqa: F811
    of = [{"number": n, "params": {}, "score": s} for n, s in enumerate([None, math.nan])]
    plot_search_history(of, "auc", folder, larger_is_better=True)
    looked_at(folder, "search_history.png")
    assert {"No trial has a score", "failed (2)", "area under the ROC curve"} <= set(
        texts(figures[0])
    )
    plot_search_history([{**of[0], "score": 0.5}], "auc", folder, "one.png", larger_is_better=True)
    looked_at(folder, "one.png")
    assert "Best of 1 trials: 0.5 (trial 0)" in texts(figures[1])


def test_importance_finds_what_matters():
    importance = parameter_importance(made_up(200, 6))
    assert list(importance)[:2] == ["rate", "depth"]
    assert sum(importance.values()) == pytest.approx(1)
    assert importance["rate"] > 0.5 > importance["depth"] > 0.05
    assert max(importance[n] for n in importance if n not in ("rate", "depth")) < 0.06
    # Scores that are far off, and a rescaling of scores or of a parameter, change nothing.
    of = succeeded(made_up(60, 4))
    scaled = [
        {**t, "score": t["score"] ** 9, "params": {**t["params"], "rate": 7 * t["params"]["rate"]}}
        for t in of
    ]
    assert parameter_importance(scaled) == pytest.approx(parameter_importance(of), abs=0.02)
    assert parameter_importance(of, seed=1) == parameter_importance(of, seed=1)


def test_importance_of_estimators_and_of_parameters_that_some_have():
    rng = np.random.default_rng(0)
    of = []
    for number in range(80):
        tree = bool(rng.integers(2))
        params = {"depth": int(rng.integers(1, 9))} if tree else {"C": float(rng.random())}
        score = 0.5 + 0.3 * tree + rng.normal(0, 0.01)
        name = "tree" if tree else "line"
        of.append({"number": number, "estimator": name, "params": params, "score": score})
    importance = parameter_importance(of)
    assert set(importance) == {"estimator", "depth", "C"}
    # All three tell trees from lines: depth and C by being absent.
    assert sum(importance.values()) == pytest.approx(1)
    assert parameter_importance(of[:3]) == {}
    assert parameter_importance([{**t, "params": {}, "estimator": "one"} for t in of]) == {}


@pytest.mark.parametrize(("trials", "params"), [(3, 4), (50, 4), (50, 30)])
def test_importance_plot(folder, figures, trials, params):  # noqa: F811
    importance = parameter_importance(made_up(trials, params))
    plot_parameter_importance(importance, folder)
    looked_at(folder, "parameter_importance.png")
    axes = figures[0].axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == sorted(importance.values(), reverse=True)[:20]
    written = texts(figures[0])
    if trials == 3:
        assert "Too few trials to tell what mattered" in written and not widths
    else:
        assert next(iter(axes.get_yticklabels())).get_text() == "rate"
        assert axes.yaxis_inverted()
        assert f"{widths[0]:.0%}" in written
        left_out = "Importance of parameters (without the 10 least)"
        assert (left_out in written) == (params == 30)


@pytest.mark.parametrize(("trials", "params"), SIZES)
def test_parallel_coordinates(folder, figures, trials, params):  # noqa: F811
    of = made_up(trials, params)
    plot_parallel_coordinates(of, "accuracy", folder, larger_is_better=True)
    looked_at(folder, "parallel_coordinates.png")
    axes = figures[0].axes[0]
    drawn = [line for c in axes.collections for line in c.get_segments()]
    able = succeeded(of)
    assert len(drawn) == len(able)
    shown = min(params, 9)
    assert all(len(line) == shown + 1 for line in drawn)
    assert all(((line >= 0) & (line[:, [1]] <= 1)).all() for line in drawn)
    # The last one is the best: on top of the axis of scores, and through its own values.
    won = max(able, key=lambda t: t["score"])
    best = drawn[-1]
    assert best[-1, 1] == 1.0
    rates = sorted(t["params"]["rate"] for t in able)
    if trials >= 50:  # rates are spread by their logarithm
        place = math.log(won["params"]["rate"] / rates[0]) / math.log(rates[-1] / rates[0])
        assert best[0, 1] == pytest.approx(place)
        assert "next best" in " ".join(texts(figures[0]))
    written = texts(figures[0])
    assert {f"best: trial {won['number']}", "accuracy", "rate"} <= set(written)
    assert any(f"{len(able):,} trials by parameters and score" in text for text in written)
    assert any("(without 5 parameters)" in text for text in written) == (params == 14)


def test_the_better_score_is_on_top_where_less_is_better(folder, figures):  # noqa: F811
    of = [{"number": n, "params": {"a": n}, "score": float(n)} for n in range(4)]
    plot_parallel_coordinates(of, "rmse", folder, larger_is_better=False)
    drawn = [line for c in figures[0].axes[0].collections for line in c.get_segments()]
    ends = np.array(sorted((line[0, 1], line[1, 1]) for line in drawn))
    assert np.allclose(ends, [(0, 1), (1 / 3, 2 / 3), (2 / 3, 1 / 3), (1, 0)])
    assert "best: trial 0" in texts(figures[0])


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.5], [None]])
def test_parallel_coordinates_of_hardly_anything(folder, figures, scores):  # noqa: F811
    of = [{"number": n, "params": {"a": 1}, "score": s} for n, s in enumerate(scores)]
    plot_parallel_coordinates(of, "auc", folder, larger_is_better=True)
    able = len([s for s in scores if s is not None])
    assert f"{able} trials by parameters and score" in texts(figures[0])


def test_scales():
    assert _scale([1, 2, 4])[0] == pytest.approx([0, 1 / 3, 1])
    assert _scale([1, 10, 1000])[0] == pytest.approx([0, 1 / 3, 1])  # by logarithm
    assert _scale([1, 900, 1000])[0] == pytest.approx([0, 899 / 999, 1])
    # None has a place below all numbers.
    heights, ticks = _scale([None, 2, 4])
    assert heights == pytest.approx([0, 0.14, 1])
    assert (0.0, "–") in ticks
    heights, ticks = _scale(["b", "a", True])
    assert heights == [1, 0.5, 0]
    assert [text for _, text in ticks] == ["True", "a", "b"]


@pytest.mark.parametrize(("trials", "params"), SIZES[1:4])
def test_rungs(folder, figures, trials, params):  # noqa: F811
    of = made_up(trials, params)
    plot_rungs(of, "accuracy", "shards", folder, larger_is_better=True)
    looked_at(folder, "rungs.png")
    axes = figures[0].axes[0]
    curves = [
        [(r["resource"], r["score"]) for r in t["rungs"]]
        for t in of
        if t["rungs"][0]["score"] is not None
    ]
    drawn = [list(map(tuple, line.get_xydata())) for line in axes.lines]
    assert sorted(drawn) == sorted(curves)
    # The best of those that came furthest is drawn last and named.
    most = max(c[-1][0] for c in curves)
    best = max((c for c in curves if c[-1][0] == most), key=lambda c: c[-1][1])
    assert drawn[-1] == best
    written = texts(figures[0])
    assert any(t.startswith("best: trial") and f"({best[-1][1]:.4g})" in t for t in written)
    counts = [str(sum(r in dict(c) for c in curves)) for r in sorted({c[-1][0] for c in curves})]
    assert set(counts) <= {text.replace(",", "") for text in written}
    assert "shards of a trial" in written


def test_rungs_of_one_step_and_of_none(folder, figures):  # noqa: F811
    one = [{"number": 0, "params": {}, "score": 1.0, "rungs": [{"resource": 5, "score": 1.0}]}]
    plot_rungs(one, "rmse", "rows", folder, larger_is_better=False)
    looked_at(folder, "rungs.png")
    assert {"best: trial 0 (1)", "5", "1"} <= set(texts(figures[0]))
    lost = [{**one[0], "rungs": [{"resource": 5, "score": None}]}]
    plot_rungs(lost, "rmse", "rows", folder, "none.png", larger_is_better=False)
    looked_at(folder, "none.png")
    assert not figures[1].axes[0].lines


@pytest.mark.parametrize(("trials", "params"), SIZES[1:4])
@pytest.mark.parametrize("log", [True, False])
def test_pareto_front(folder, figures, trials, params, log):  # noqa: F811
    of = made_up(trials, params)
    able = succeeded(of)
    losses = [[t["scores"]["size"], -t["scores"]["accuracy"]] for t in able]
    front = [able[i]["number"] for i in pareto_front(losses)]
    plot_pareto_front(of, ("size", "accuracy"), front, folder, log=log)
    looked_at(folder, "pareto_front.png")
    axes = figures[0].axes[0]
    at = {t["number"]: (t["scores"]["size"], t["scores"]["accuracy"]) for t in able}
    assert sorted(map(tuple, axes.lines[0].get_xydata())) == sorted(at[n] for n in front)
    others = {tuple(p) for c in axes.collections for p in c.get_offsets()}
    assert others == {at[n] for n in at if n not in front}
    assert f"{len(front)} of {len(able):,} trials are on the front" in texts(figures[0])
    # The whole front is in sight; numbers are those of its trials.
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    assert all(x0 < at[n][0] < x1 and y0 < at[n][1] < y1 for n in front)
    assert {t.get_text() for t in axes.texts} <= set(map(str, front)) and axes.texts
    assert axes.get_xscale() == ("log" if log else "linear")
    assert not any("mathdefault" in text for text in texts(figures[0]))


def test_pareto_front_of_nothing(folder, figures):  # noqa: F811
    of = [{"number": 0, "params": {}, "score": None, "scores": {"size": None}}]
    plot_pareto_front(of, ("size", "auc"), [], folder, log=True)
    looked_at(folder, "pareto_front.png")
    assert "0 of 0 trials are on the front" in texts(figures[0])


def test_values_that_look_like_formulas(folder, figures, recwarn):  # noqa: F811
    of = [
        {"number": n, "params": {"$x_{": name, name or "empty": n}, "score": n / 9.0}
        for n, name in enumerate(NAMES)
    ]
    plot_parallel_coordinates(of, "auc", folder, larger_is_better=True)
    plot_parameter_importance(parameter_importance(of), folder)
    for name in ("parallel_coordinates.png", "parameter_importance.png"):
        looked_at(folder, name)
    assert "$x_{" in texts(figures[0])
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
