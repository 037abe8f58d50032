"""Ensemble selection against a search by brute force, and on real data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import load_model, partition, split
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.voting.selection import EnsembleSelectionClassifier
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.greedy import Selection, select
from sparkml_dist.members.held_out import HeldOutRows

LIBRARY = [
    ("stump", DecisionTreeClassifier(max_depth=1)),
    ("tree", DecisionTreeClassifier(max_depth=8)),
    ("near", KNeighborsClassifier(5)),
    ("bayes", GaussianNB()),
]


@pytest.fixture(scope="module")
def digits(spark):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    return split(spark.createDataFrame(frame), 0.25, seed=1)


@pytest.fixture(scope="module")
def shards(digits, tmp_path_factory):
    return partition(digits[0], tmp_path_factory.mktemp("a") / "d", label="label", shards=2)


def rows_of(n, members, classes, seed, weighted=False):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    skill = rng.random(members) * 3
    logits = rng.normal(size=(n, members, classes))
    logits[np.arange(n), :, y] += skill
    proba = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    weight = rng.random(n) + 0.1 if weighted else np.ones(n)
    return HeldOutRows(proba.astype(np.float32), y, weight)


def brute_force(rows, metric, steps, initial):
    """The same search in the plainest words."""

    def loss(members):
        mean = np.mean([rows.outputs[:, m].astype(float) for m in members], axis=0)
        mean /= mean.sum(axis=1, keepdims=True)
        if metric == "log_loss":
            found = log_loss(rows.y, mean, sample_weight=rows.weight)
        elif metric == "accuracy":
            found = -accuracy_score(rows.y, mean.argmax(axis=1), sample_weight=rows.weight)
        else:
            found = -roc_auc_score(rows.y, mean[:, 1], sample_weight=rows.weight)
        return round(found, 12)  # of equally good ones the first, whatever their last digits

    every = range(rows.outputs.shape[1])
    path = sorted(every, key=lambda m: loss([m]))[:initial]
    while len(path) < steps:
        path = [*path, min(every, key=lambda m: loss([*path, m]))]
    best = min(range(1, steps + 1), key=lambda k: loss(path[:k]))
    return np.bincount(path[:best], minlength=len(every)).tolist()


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "auc"])
@pytest.mark.parametrize(("initial", "weighted"), [(0, False), (2, True)])
def test_it_is_the_search_by_brute_force(metric, initial, weighted):
    rows = rows_of(150, 6, 2 if metric == "auc" else 3, seed=initial, weighted=weighted)
    found, curves = select(rows, Selection(metric, 12, initial, 1, 0.5, 0))
    assert found == brute_force(rows, metric, 12, initial)
    assert len(curves[0]) == sum(found)


def test_bags_choose_from_parts_of_the_library():
    rows = rows_of(200, 8, 3, seed=5)
    counts, curves = select(rows, Selection("log_loss", 10, 2, 4, 0.5, 1))
    again, _ = select(rows, Selection("log_loss", 10, 2, 4, 0.5, 1))
    other, _ = select(rows, Selection("log_loss", 10, 2, 4, 0.5, 2))
    assert counts == again != other
    assert len(curves) == 4
    assert sum(counts) == sum(map(len, curves))
    # Bags of one member have nothing to choose.
    single, _ = select(rows, Selection("log_loss", 10, 2, 6, 1 / 8, 1))
    lone = [int(np.argmin(uniform(np.arange(8), 1, "selection", b))) for b in range(6)]
    assert single == np.bincount(lone, minlength=8).tolist()
    assert len(set(lone)) > 2


@pytest.mark.modes("connect")
def test_the_vote_is_as_good_as_the_best_of_the_library(digits, shards, tmp_path):
    selection = EnsembleSelectionClassifier(
        estimators=LIBRARY, seed=3, validationFraction=0.2, modelDir=str(tmp_path / "m")
    )
    model = selection.fit(shards)
    about = model.summary["selection"]
    assert about["library"] == 8
    assert about["chosen"]
    assert all(c["name"] != "stump" for c in about["chosen"])
    assert model.weights == [c["count"] for c in about["chosen"]]
    kept = {f.name for f in model.files if f.name.endswith(".skops")}
    there = {f"members/{p.name}" for p in (tmp_path / "m" / "members").glob("*.skops")}
    assert kept == there
    assert len(kept) == model.numMembers < 8
    assert not (tmp_path / "m" / "held-out").exists()

    # The score is that of the vote on rows that no member saw.
    blocks = [shards.read_block(s) for s in range(2)]
    masks = [Validation(0.2, 3).mask(b.key) for b in blocks]
    X = np.concatenate([b.X[m] for b, m in zip(blocks, masks, strict=True)])
    y = np.concatenate([b.y[m] for b, m in zip(blocks, masks, strict=True)])
    predict = model._scorer().load()
    assert about["rows"] == len(y)
    assert log_loss(y, predict(X), labels=range(10)) == pytest.approx(about["curves"][0][-1], 1e-4)

    again = selection.copy().setParams(resume=True).fit(shards)
    assert again.summary["fitted_now"] == 0
    assert again.content == model.content

    test = digits[1].toPandas()
    X, y = test.drop(columns="label").to_numpy(np.float32), test.label.to_numpy()
    best = 0.0
    for _, learner in LIBRARY:
        votes = sum(
            learner.fit(b.X[~m], b.y[~m]).predict_proba(X)
            for b, m in zip(blocks, masks, strict=True)
        )
        best = max(best, accuracy_score(y, votes.argmax(axis=1)))
    loaded = load_model(str(tmp_path / "m"))
    rows = loaded.transform(digits[1]).select("label", "prediction").collect()
    error = np.sqrt(best * (1 - best) / len(y))
    assert np.mean([r[0] == r[1] for r in rows]) >= best - error


def test_rows_that_do_not_fit_are_sampled(shards, tmp_path):
    settings = {"estimators": LIBRARY[1:3], "numMembers": 5, "validationFraction": 0.3}
    whole = EnsembleSelectionClassifier(**settings).fit(shards)
    some = EnsembleSelectionClassifier(**settings, memoryPerTask="60k").fit(shards)
    held = whole.summary["selection"]["rows"]
    # 4 members and 10 classes: 160 bytes a row, and a third of the memory for them.
    assert 300 < held < 500
    assert 80 < some.summary["selection"]["rows"] < 180


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"stopMetric": "rmse"}, "invalid_param"),
        ({"numMembers": 0}, "invalid_param"),
        ({"initialMembers": -1}, "invalid_param"),
        ({"numBags": 0}, "invalid_param"),
        ({"bagFraction": 0.0}, "invalid_param"),
        ({"validationFraction": 1.0}, "invalid_param"),
        ({"estimators": [("r", RidgeClassifier())]}, "no_probabilities"),
    ],
)
def test_bad_settings(shards, settings, code):
    with pytest.raises(ConfigurationError) as error:
        EnsembleSelectionClassifier(**({"estimators": LIBRARY} | settings)).fit(shards)
    assert error.value.code == code
