"""Boosted trees over silos: XGBoost's trees, whatever the silos."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.federated import Answer, Federation
from sparkml_dist.federated.ensembles.boosting.booster import booster_content
from sparkml_dist.federated.ensembles.boosting.boosting import boost
from sparkml_dist.federated.ensembles.boosting.buckets import Buckets
from sparkml_dist.federated.ensembles.boosting.forest import Forest, Tree
from sparkml_dist.federated.ensembles.boosting.ordered_floats import float_of, key_of
from sparkml_dist.federated.ensembles.boosting.splits import Growth

xgboost = pytest.importorskip("xgboost")

ROUNDS = 4
GROWTH = Growth(max_depth=3, learning_rate=0.4)


def rows(classes: int, n: int = 240, missing: float = 0.0):
    rng = np.random.default_rng(7)
    X = rng.integers(0, 12, (n, 4)).astype(float)
    score = X[:, 0] - 5 + 2 * (X[:, 1] > 6) * (X[:, 2] - 4) + rng.normal(0, 2, n)
    X[rng.random(X.shape) < missing] = np.nan
    if not classes:
        return X, score
    return X, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


def federation(X, y, parts: int, classes: int, **more) -> Federation:
    at = np.random.default_rng(parts).integers(0, parts, len(y))
    silos = {f"s{i}": (X[at == i], y[at == i]) for i in range(parts)}
    return Federation.in_memory(silos, regression=not classes, **more)


def of_xgboost(X, y, classes: int, base: float):
    objective = {0: "reg:squarederror", 2: "binary:logistic"}.get(classes, "multi:softprob")
    settings = {
        "objective": objective,
        "base_score": 1 / (1 + np.exp(-base)) if classes == 2 else base if not classes else 0.5,
        "max_depth": GROWTH.max_depth,
        "eta": GROWTH.learning_rate,
        "tree_method": "exact",
        "nthread": 1,
    }
    if classes > 2:
        settings["num_class"] = classes
    return xgboost.train(settings, xgboost.DMatrix(X, y), ROUNDS)


def trees(booster):
    frame = booster.trees_to_dataframe()
    return frame[["Tree", "Node", "Feature", "Split", "Yes", "No", "Gain"]]


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_trees_are_xgboosts(classes):
    X, y = rows(classes)
    found = boost(federation(X, y, 3, classes), rounds=ROUNDS, growth=GROWTH)
    own = xgboost.Booster()
    own.load_model(bytearray(booster_content(found, X.shape[1])))
    theirs = of_xgboost(X, y, classes, found.base)
    # XGBoost adds gradients up in single precision.
    np.testing.assert_allclose(
        own.predict(xgboost.DMatrix(X)), theirs.predict(xgboost.DMatrix(X)), rtol=2e-4, atol=2e-5
    )
    mine, other = trees(own), trees(theirs)
    assert mine[["Tree", "Node", "Feature"]].equals(other[["Tree", "Node", "Feature"]])


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_silos_do_not_matter(classes):
    X, y = rows(classes, missing=0.1)
    X = X + np.random.default_rng(0).normal(0, 0.3, X.shape)
    whole, parts = (
        boost(federation(X, y, n, classes), rounds=ROUNDS, growth=GROWTH, bins=16) for n in (1, 5)
    )
    assert booster_content(whole, 4) == booster_content(parts, 4)
    assert np.diff(whole.history).max() < 0
    np.testing.assert_allclose(whole.history, parts.history, rtol=1e-12)


def test_secure_sums_give_the_same_trees():
    pytest.importorskip("cryptography")
    from sparkml_dist.federated.privacy import SecureSum

    X, y = rows(2, missing=0.1)
    plain, secure = (
        boost(federation(X, y, 4, 2), rounds=1, growth=GROWTH, bins=16, secure=protocol)
        for protocol in (None, SecureSum(bits=64))
    )
    assert booster_content(plain, 4) == booster_content(secure, 4)


def test_the_history_is_the_loss_of_the_model():
    X, y = rows(2, missing=0.1)
    found = boost(federation(X, y, 3, 2), rounds=ROUNDS, growth=GROWTH)
    own = xgboost.Booster()
    own.load_model(bytearray(booster_content(found, 4)))
    p = own.predict(xgboost.DMatrix(X)).astype(float)
    loss = -np.log(np.where(y == 1, p, 1 - p)).mean()
    assert found.history[-1] == pytest.approx(loss, rel=1e-5)


def test_a_silo_that_misses_rounds_is_given_the_trees_that_it_lacks():
    X, y = rows(2)
    calls = iter(range(10_000))

    def absent(answer: Answer, request) -> Answer:
        if request.kind == "gradient_histograms" and 2 <= next(calls) < 5:
            raise OSError("the silo is away")
        return answer

    found = boost(federation(X, y, 3, 2, alter={"s1": absent}), rounds=ROUNDS, growth=GROWTH)
    assert ["s0", "s2"] in found.silos
    assert found.silos[-1] == ["s0", "s1", "s2"]
    assert len(found.history) == ROUNDS


def test_keys_have_the_order_of_floats():
    values = np.array([-np.inf, -3e38, -1.5, -1e-40, 0, 1e-40, 1.5, 3e38, np.inf], np.float32)
    keys = key_of(values)
    assert (np.diff(keys) > 0).all()
    np.testing.assert_array_equal(float_of(keys), values)
    assert key_of(np.array([-0.0])) == key_of(np.array([0.0]))


def cuts_of(values, bins):
    keys = np.sort(key_of(values))
    buckets = Buckets.start()
    for _ in range(7):
        counts = np.histogram(keys, buckets.edges)[0]
        buckets = buckets.counted(counts)
        if not buckets.heavy(bins).any():
            break
        buckets = buckets.refined(bins)
    return buckets.cuts(bins)


def test_cuts_are_quantiles():
    values = np.random.default_rng(0).normal(2000, 3, 5000)
    found = cuts_of(values, 32)
    shares = np.diff([0, *np.searchsorted(np.sort(values), found), 5000]) / 5000
    assert len(found) >= 28
    # A bin is off by at most half a bin's share at each side.
    assert shares.max() <= 2 / 32


def test_few_values_are_told_apart():
    found = cuts_of(np.repeat([-1.0, 0.0, 2.0, 2000.0, 2001.0], 50), 32)
    assert len(found) == 4
    np.testing.assert_array_equal(
        np.searchsorted(found, [-1.0, 0.0, 2.0, 2000.0, 2001.0], side="right"), range(5)
    )


def test_trees_of_a_message_are_checked():
    tree = Tree(0)
    tree.split(0, 1, 2, missing_left=False, gain=1.0)
    Forest.of([tree]).check(2, 1)
    with pytest.raises(ValueError, match="feature that does not exist"):
        Forest.of([tree]).check(1, 1)
    tree.left[0] = 0
    with pytest.raises(ValueError, match="not a later node"):
        Forest.of([tree]).check(2, 1)
