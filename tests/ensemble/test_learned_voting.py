"""Learnt weights of a vote against scipy's minimum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import VotingClassifier, VotingRegressor, partition
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.voting.mixture import mixture_weights, simplex_least_squares
from sparkml_dist.errors import ConfigurationError

TREES = [("stump", DecisionTreeClassifier(max_depth=1)), ("tree", DecisionTreeClassifier())]
BASES = [*TREES, ("near", KNeighborsClassifier(9)), ("bayes", GaussianNB())]


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    path = tmp_path_factory.mktemp("a") / "d"
    return partition(spark.createDataFrame(frame), path, label="label", shards=2)


def on_simplex(loss, n):
    found = minimize(
        loss,
        np.full(n, 1 / n),
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    return found.x


@pytest.mark.parametrize("seed", range(3))
def test_mixture_weights_are_the_minimum(seed):
    rng = np.random.default_rng(seed)
    given = rng.beta(2, 1, (400, 5)) * rng.random(5)
    weight = rng.random(400)
    found = mixture_weights(given, weight)
    wanted = on_simplex(lambda w: -weight @ np.log(given @ w) / weight.sum(), 5)
    assert found.sum() == pytest.approx(1)
    assert np.allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_least_squares_on_the_simplex_are_the_minimum(seed):
    rng = np.random.default_rng(seed)
    errors = rng.normal(size=(300, 5)) * (1 + rng.random(5)) + rng.normal(size=(300, 1))
    moments = errors.T @ errors / 300 * 1e4
    found = simplex_least_squares(moments)
    wanted = on_simplex(lambda w: w @ moments @ w / 1e4, 5)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert np.allclose(found, wanted, atol=1e-3)


def kept_rows(data, fraction, seed):
    blocks = [data.read_block(s) for s in range(len(data.shards))]
    masks = [Validation(fraction, seed).mask(b.key) for b in blocks]
    X = np.concatenate([b.X[m] for b, m in zip(blocks, masks, strict=True)])
    y = np.concatenate([b.y[m] for b, m in zip(blocks, masks, strict=True)])
    return blocks, masks, X, y


def test_a_vote_learns_its_weights(shards, tmp_path):
    voting = VotingClassifier(
        estimators=BASES, learnWeights=True, validationFraction=0.2, seed=1
    ).setModelDir(str(tmp_path / "m"))
    model = voting.fit(shards)
    blocks, masks, X, y = kept_rows(shards, 0.2, 1)
    # The members have not seen the kept rows.
    bayes = GaussianNB().fit(blocks[0].X[~masks[0]], blocks[0].y[~masks[0]])
    outputs = list(model._bank().load().outputs(X, "predict_proba"))
    assert np.allclose(outputs[6], bayes.predict_proba(X))
    means = [(outputs[2 * k] + outputs[2 * k + 1]) / 2 for k in range(4)]
    given = np.stack([p[np.arange(len(y)), y] for p in means], axis=1)
    wanted = on_simplex(lambda w: -np.mean(np.log(given @ w + 1e-15)), 4)
    learned = model.summary["learned"]
    assert list(learned["weights"]) == ["stump", "tree", "near", "bayes"]
    assert np.allclose(list(learned["weights"].values()), wanted, atol=2e-3)
    assert learned["weights"]["near"] == max(learned["weights"].values())
    assert learned["rows"] == len(y)
    assert model.weights == list(np.repeat(list(learned["weights"].values()), 2))
    # Rows of a shard are in no other member's memory either.
    (tmp_path / "m" / "members" / "member-00003.json").unlink()
    (tmp_path / "m" / "weights.json").unlink()
    again = voting.copy().setParams(resume=True).fit(shards)
    assert again.summary["fitted_now"] == 1
    assert again.content == model.content


def test_regressors_learn_their_weights(spark, tmp_path):
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
    df = spark.createDataFrame(frame)
    data = partition(df, tmp_path / "d", label="label", shards=2, task="regression")
    bases = [
        ("line", LinearRegression()),
        ("near", KNeighborsRegressor(9)),
        ("tree", DecisionTreeRegressor()),
    ]
    model = VotingRegressor(estimators=bases, learnWeights=True, validationFraction=0.3).fit(data)
    *_, X, y = kept_rows(data, 0.3, 0)
    outputs = list(model._bank().load().outputs(X, "predict"))
    means = np.stack([(outputs[2 * k] + outputs[2 * k + 1]) / 2 for k in range(3)], axis=1)
    wanted = on_simplex(lambda w: np.mean((means @ w - y) ** 2) / 1e4, 3)
    weights = list(model.summary["learned"]["weights"].values())
    assert np.allclose(weights, wanted, atol=2e-3)
    error = np.mean((model._scorer().load()(X) - y) ** 2)
    assert error <= min(np.mean((means[:, k] - y) ** 2) for k in range(3))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"weights": [1.0, 1.0]}, "conflicting_params"),
        ({"voting": "hard"}, "conflicting_params"),
        ({"validationFraction": 0.0}, "invalid_param"),
    ],
)
def test_bad_settings(shards, settings, code):
    with pytest.raises(ConfigurationError) as error:
        VotingClassifier(estimators=TREES, learnWeights=True, **settings).fit(shards)
    assert error.value.code == code
