"""Searches through the real engine, against scikit-learn, published numbers, and faults."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, ParameterGrid, PredefinedSplit
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.members.sampling import member_seed
from sparkml_dist.search import engine
from tests.long import cases
from tests.search.learners_of_trials import TYPES, KnownLoss, Misbehaving

GRID = {"max_depth": [1, 2, 4], "min_samples_leaf": [1, 20]}


def table(rows=900):
    X, y = make_classification(rows, 6, n_informative=4, random_state=0)
    frame = pd.DataFrame(X.astype(np.float32), columns=[f"x{i}" for i in range(6)])
    return frame.assign(label=y, zero=0.0, number=X[:, 0] + X[:, 1] ** 2)


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(table()).repartition(1).cache()


@pytest.fixture(scope="module")
def shards(frame, tmp_path_factory):
    def of(count, label="label", **given):
        folder = tmp_path_factory.mktemp("shards")
        features = [f"x{i}" for i in range(6)]
        return sd.partition(
            frame, str(folder / "d"), label=label, features=features, shards=count, **given
        )

    return of


@pytest.fixture(scope="module")
def three(shards):
    return shards(3)


@pytest.fixture(scope="module")
def found(frame):
    """A search of trees over three shards."""
    return sd.HyperparameterSearch(
        estimator=DecisionTreeClassifier(),
        space=GRID,
        sampler="grid",
        metric="log_loss",
        metrics=["accuracy", "auc"],
        numShards=3,
        deterministic=True,
    ).fit(frame)


# -- what comes of it ---------------------------------------------------------------------


def test_trials_are_a_table(found):
    rows = found.trials.collect()
    assert [row.number for row in rows] == list(range(6))
    assert [json.loads(row.params) for row in rows] == list(ParameterGrid(GRID))
    assert {row.state for row in rows} == {"done"}
    assert all(set(row.scores) == {"log_loss", "accuracy", "auc"} for row in rows)
    assert all(row.bytes > 0 and row.millisecondsPerRow > 0 for row in rows)
    # The better half of ASHA's first rung and what was promoted early.
    assert {row.resource for row in rows} == {1, 3}


def test_the_best_trial_is_fitted_on_all_shards(found, frame):
    top = [row for row in found.trials.collect() if row.rung == 1]
    best = min(top, key=lambda row: row.score)
    assert found.bestTrial == best.number and found.bestScore == best.score
    assert found.bestParams == json.loads(best.params)
    assert found.bestModel.numMembers == 3
    shown = found.transform(frame)
    right = shown.where("prediction = label").count() / frame.count()
    assert right > 0.7


def test_a_search_is_saved_and_loaded(found, frame, tmp_path):
    found.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    assert again.bestParams == found.bestParams
    assert again.trials.collect() == found.trials.collect()
    one, other = (m.transform(frame).select("prediction").collect() for m in (found, again))
    assert one == other
    assert again.paretoFront == found.paretoFront


def test_the_pareto_front(found):
    rows = {row.number: row.scores for row in found.trials.collect()}
    points = {t: (s["log_loss"], -s["accuracy"]) for t, s in rows.items()}
    expected = {
        t
        for t, p in points.items()
        if not any(all(a <= b for a, b in zip(q, p)) and q != p for q in points.values())
    }
    assert set(found.paretoFront) == expected


# -- oracles ------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", cases(["accuracy", "log_loss"], ["log_loss"]))
def test_one_shard_and_all_resources_is_scikit_learns_grid_search(shards, metric):
    data = shards(1)
    block = data.read_block(0)
    folds = sd.folds(block.key, 3, seed=5)
    learner = DecisionTreeClassifier(random_state=member_seed(5, 0))
    expected = GridSearchCV(
        learner,
        GRID,
        cv=PredefinedSplit(folds),
        scoring={"accuracy": "accuracy", "log_loss": "neg_log_loss"}[metric],
        refit=False,
    ).fit(block.X, block.y)
    model = sd.HyperparameterSearch(
        estimator=DecisionTreeClassifier(),
        space=GRID,
        sampler="grid",
        scheduler="none",
        numFolds=3,
        metric=metric,
        refit="none",
        seed=5,
    ).fit(data)
    sign = -1 if metric == "log_loss" else 1
    rows = model.trialsTable()
    each = np.array([row["part_scores"][metric] for row in rows]) * sign
    for k in range(3):
        np.testing.assert_allclose(
            each[:, k], expected.cv_results_[f"split{k}_test_score"], rtol=0, atol=1e-12
        )
    np.testing.assert_allclose(
        [sign * row["score"] for row in rows],
        expected.cv_results_["mean_test_score"],
        rtol=0,
        atol=1e-12,
    )
    ranks = expected.cv_results_["rank_test_score"]
    assert ranks[model.bestTrial] == 1


def test_members_on_shards_are_scored_by_their_mean(three):
    """A trial of two members is the mean of two fits without the held-out rows."""
    model = sd.HyperparameterSearch(
        estimator=LogisticRegression(),
        space={"C": [0.1]},
        sampler="grid",
        scheduler="none",
        maxResource=2,
        metric="log_loss",
        refit="none",
    ).fit(three)
    held = Validation(0.2, 0)
    blocks = [three.read_block(i) for i in range(3)]
    masks = [held.mask(b.key) for b in blocks]
    X = np.concatenate([b.X[m] for b, m in zip(blocks, masks, strict=True)])
    y = np.concatenate([b.y[m] for b, m in zip(blocks, masks, strict=True)])
    votes = sum(
        LogisticRegression(C=0.1).fit(b.X[~m], b.y[~m]).predict_proba(X)
        for b, m in zip(blocks[:2], masks[:2], strict=True)
    )
    # float32 input: the solver may stop at another last digit
    assert model.bestScore == pytest.approx(log_loss(y, votes / 2), abs=1e-6)


@pytest.mark.parametrize("parallelism", cases([1, 2], [1]))
def test_asha_through_the_engine_keeps_the_published_trials(frame, parallelism):
    """27 trials with loss (7·id) mod 27, one worker: finalist 0 and a known second rung."""
    rows = frame.selectExpr("x0", "zero AS label")
    model = sd.HyperparameterSearch(
        estimator=KnownLoss(),
        space={"number": list(range(27))},
        sampler="grid",
        metric="mae",
        numShards=27,
        parallelism=parallelism,
        trustedTypes=TYPES,
        refit="none",
    ).fit(rows)
    table_ = model.trialsTable()
    reached = [{t["number"] for t in table_ if len(t["rungs"]) > r} for r in range(4)]
    assert model.bestTrial == 0 and model.bestScore == 0
    assert [t["score"] for t in table_] == [(7 * i) % 27 for i in range(27)]
    assert reached[3] == {0}
    if parallelism == 1:
        assert reached[1] == {0, 1, 4, 5, 8, 12, 16, 20, 24}
        spent = sum(t["rungs"][-1]["resource"] for t in table_)
        assert ([len(r) for r in reached], spent) == ([27, 9, 3, 1], 81)


def test_a_deterministic_search_is_the_same_at_any_parallelism(three, monkeypatch):
    def run(parallelism):
        model = sd.HyperparameterSearch(
            estimator=DecisionTreeClassifier(),
            space={"max_depth": list(range(1, 9)), "min_samples_leaf": list(range(1, 30))},
            numTrials=12,
            deterministic=True,
            parallelism=parallelism,
            metric="log_loss",
            refit="none",
        ).fit(three)
        kept = ("number", "params", "state", "rung", "score")
        return [{k: row[k] for k in kept} for row in model.trialsTable()]

    alone = run(1)
    # Also where the members of a trial are spread over idle slots.
    monkeypatch.setattr(engine, "_WORTH_SPREADING", 0.0)
    monkeypatch.setattr(engine, "_BATCH_SECONDS", 0.0)
    assert run(2) == alone


def test_a_regression(frame):
    model = sd.HyperparameterSearch(
        estimator=[("ridge", Ridge()), ("tree", DecisionTreeRegressor())],
        space={"ridge": {"alpha": [0.1, 1.0]}, "tree": {"max_depth": [3, 6]}},
        sampler="grid",
        labelCol="number",
        featuresCols=["x*"],
        numShards=2,
        scheduler="none",
    ).fit(frame)
    rows = model.trials.collect()
    assert [row.estimator for row in rows] == ["ridge", "ridge", "tree", "tree"]
    assert model.bestEstimator == "tree"
    assert model.bestScore == max(row.score for row in rows) > 0.5
    assert model.transform(frame).where("abs(prediction - number) < 1").count() > 450


@pytest.mark.modes
def test_rows_as_the_resource(three):
    model = sd.HyperparameterSearch(
        estimator=DecisionTreeClassifier(),
        space={"max_depth": [1, 2, 4]},
        sampler="grid",
        scheduler="halving",
        resource="rows",
        minResource=60,
        maxResource=180,
        refit="none",
    ).fit(three)
    reached = [t["rungs"] for t in model.trialsTable()]
    assert sorted(len(r) for r in reached) == [1, 1, 2]


@pytest.mark.parametrize(
    ("learner", "resource"),
    [
        (RandomForestClassifier(), "n_estimators"),
        (HistGradientBoostingClassifier(early_stopping=False), "max_iter"),
    ],
    ids=["forest", "boosting"],
)
def test_trees_go_on_from_those_of_the_rung_before(three, learner, resource):
    """The second rung adds trees, and is what a fit of all of them is."""
    model = sd.HyperparameterSearch(
        estimator=learner,
        space={"max_depth": [1, 2, 3]},
        sampler="grid",
        scheduler="halving",
        resource=resource,
        minResource=4,
        maxResource=12,
        metric="log_loss",
        refit="none",
    ).fit(three)
    best = model.trialsTable()[model.bestTrial]
    assert [rung["resource"] for rung in best["rungs"]] == [4, 12]
    held = Validation(0.2, 0)
    blocks = [three.read_block(i) for i in range(3)]
    masks = [held.mask(b.key) for b in blocks]
    X = np.concatenate([b.X[m] for b, m in zip(blocks, masks, strict=True)])
    y = np.concatenate([b.y[m] for b, m in zip(blocks, masks, strict=True)])
    settings = {resource: 12, "random_state": member_seed(0, 0), **model.bestParams}
    alone = clone(learner).set_params(**settings)
    alone.fit(blocks[0].X[~masks[0]], blocks[0].y[~masks[0]])
    assert model.bestScore == pytest.approx(log_loss(y, alone.predict_proba(X)), abs=1e-12)


# -- faults -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def misbehaved(three):
    return sd.HyperparameterSearch(
        estimator=Misbehaving(),
        space={"how": ["raises", "well", "is killed", "hangs", "grows"]},
        sampler="grid",
        scheduler="none",
        maxResource=1,
        trialTimeout=2.0,
        trialMemory="64m",
        trustedTypes=TYPES,
    ).fit(three)


def test_trials_that_fail_are_marked_and_the_search_goes_on(misbehaved):
    rows = {json.loads(r.params)["how"]: r for r in misbehaved.trials.collect()}
    assert {how: row.state for how, row in rows.items()} == {
        "raises": "failed",
        "well": "done",
        "is killed": "killed",
        "hangs": "timeout",
        "grows": "memory",
    }
    assert "it does not converge" in rows["raises"].reason
    assert "SIGKILL" in rows["is killed"].reason
    assert "2 s" in rows["hangs"].reason and "64 MiB" in rows["grows"].reason
    # Not more than that of other trials: these may have run in a worker that held more.
    assert rows["grows"].peakRssMb > 64
    assert misbehaved.summary["peak_worker_rss_mb"] >= rows["grows"].peakRssMb
    assert misbehaved.bestParams == {"how": "well"}
    assert misbehaved.summary["failed"] == 4


def test_a_trial_that_kills_its_worker_is_tried_again_alone_and_given_up(three):
    model = sd.HyperparameterSearch(
        estimator=Misbehaving(),
        space={"how": ["well", "kills its worker"]},
        sampler="grid",
        scheduler="none",
        maxResource=1,
        trustedTypes=TYPES,
        refit="none",
    ).fit(three)
    good, bad = model.trialsTable()
    assert (good["state"], bad["state"]) == ("done", "killed")
    assert "worker was lost" in bad["reason"]


def test_where_all_trials_fail_the_reasons_are_told(three):
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(
            estimator=Misbehaving(),
            space={"how": ["raises", "is killed"]},
            sampler="grid",
            trustedTypes=TYPES,
        ).fit(three)
    assert caught.value.code == "all_trials_failed"
    assert "it does not converge" in caught.value.message and "SIGKILL" in caught.value.message


def test_a_value_that_the_learner_refuses_fails_its_trial_only(three):
    model = sd.HyperparameterSearch(
        estimator=DecisionTreeClassifier(),
        space={"max_depth": [-3, 2]},
        sampler="grid",
        refit="none",
    ).fit(three)
    assert [row["state"] for row in model.trialsTable()] == ["failed", "done"]
    assert "max_depth" in model.trialsTable()[0]["reason"]


@pytest.mark.parametrize(
    ("given", "code", "part"),
    [
        ({"space": {}}, "invalid_param", "space"),
        ({"space": {"max_depth": []}}, "invalid_param", "max_depth"),
        ({"space": {"max_dept": [1]}}, "unknown_estimator_parameter", "max_depth"),
        ({"metric": "rmse"}, "invalid_param", "metric"),
        ({"metric": "acuracy"}, "invalid_param", "'accuracy'"),
        ({"metrics": ["r2"]}, "invalid_param", "metrics"),
        ({"resource": "n_estimators"}, "invalid_param", "n_estimators"),
        ({"resource": "shard"}, "invalid_param", "'shards'"),
        ({"numTrials": 0}, "invalid_param", "numTrials"),
        ({"sampler": "best"}, "invalid_param", "sampler"),
        ({"scheduler": "asa"}, "invalid_param", "'asha'"),
        ({"timeBudget": 0.0}, "invalid_param", "timeBudget"),
        ({"constraints": {"byte": 3}}, "invalid_param", "'bytes'"),
        ({"minResource": 4, "maxResource": 2}, "invalid_param", "minResource"),
        ({"estimator": []}, "no_estimator", "empty"),
        ({"estimator": [("a", DecisionTreeClassifier()), ("a", Ridge())]}, "duplicate_names", "a"),
        ({"trialMemory": "much"}, "invalid_param", "much"),
        ({"validationFraction": 1.0}, "invalid_param", "validationFraction"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_refused_before_the_first_job(three, given, code, part):
    settings = {"estimator": DecisionTreeClassifier(), "space": {"max_depth": [1]}, **given}
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(**settings).fit(three)
    assert part in str(caught.value)
    assert caught.value.code == code


def test_more_resource_than_shards_is_refused(three):
    with pytest.raises(SparkMLDistError, match="maxResource"):
        sd.HyperparameterSearch(
            estimator=DecisionTreeClassifier(), space={"max_depth": [1]}, maxResource=4
        ).fit(three)


def test_a_budget_too_small_for_one_trial(three):
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(
            estimator=Misbehaving(),
            space={"how": ["hangs"]},
            trustedTypes=TYPES,
            timeBudget=1.5,
        ).fit(three)
    assert caught.value.code == "budget_too_small"


# -- the time budget, and constraints -----------------------------------------------------


def test_a_time_budget_ends_trials_that_run(three):
    begun = time.monotonic()
    model = sd.HyperparameterSearch(
        estimator=Misbehaving(),
        space={"how": ["well", "hangs"]},
        sampler="grid",
        scheduler="none",
        trustedTypes=TYPES,
        timeBudget=6.0,
    ).fit(three)
    assert time.monotonic() - begun < 30  # the trial would hang for minutes
    assert model.summary["out_of_time"] is True
    assert [row["state"] for row in model.trialsTable()] == ["done", "deadline"]


def test_trials_that_keep_the_constraints_come_first(three):
    def run(**given):
        return sd.HyperparameterSearch(
            estimator=DecisionTreeClassifier(),
            space={"max_depth": [1, 6]},
            sampler="grid",
            scheduler="none",
            refit="none",
            **given,
        ).fit(three)

    free = run()
    sizes = [row["bytes"] for row in free.trialsTable()]
    assert free.bestParams == {"max_depth": 6} and sizes[0] < sizes[1]
    assert run(constraints={"bytes": sizes[0] + 1}).bestParams == {"max_depth": 1}
    assert run(constraints={"bytes": 1}).bestParams == {"max_depth": 1}  # the least violation


def test_clones_are_what_is_fitted(three):
    learner = DecisionTreeClassifier()
    before = clone(learner).get_params()
    sd.HyperparameterSearch(
        estimator=learner, space={"max_depth": [1]}, sampler="grid", refit="none"
    ).fit(three)
    assert learner.get_params() == before and not hasattr(learner, "tree_")
