"""Blending: the final estimator sees the hold-out, and the bases do not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from sparkml_dist import load_model, partition
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.stacking.blending import BlendingClassifier
from sparkml_dist.errors import ConfigurationError, DataError

BASES = [("bayes", GaussianNB()), ("near", KNeighborsClassifier(1))]


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    path = tmp_path_factory.mktemp("a") / "d"
    return partition(spark.createDataFrame(frame), path, label="label", shards=2)


@pytest.mark.modes("connect")
def test_it_is_a_fit_on_the_hold_out(shards, tmp_path):
    blending = BlendingClassifier(
        estimators=BASES,
        validationFraction=0.25,
        shardsPerMember=2,
        keepLevelOne=True,
        modelDir=str(tmp_path / "m"),
        seed=3,
    )
    model = load_model(str(blending.fit(shards) and tmp_path / "m"))
    level_one = model.levelOne.read_block([0, 1])
    both = shards.read_block([0, 1])
    kept = Validation(0.25, 3).mask(both.key)
    fitted = [clone(x).fit(both.X[~kept], both.y[~kept]) for _, x in BASES]
    expected = np.hstack([x.predict_proba(both.X[kept]) for x in fitted])
    assert np.allclose(level_one.X, expected, atol=1e-6)
    assert np.array_equal(level_one.y, both.y[kept])
    assert np.array_equal(level_one.key, both.key[kept])
    final = LogisticRegression(max_iter=1000).fit(level_one.X, level_one.y)
    features = np.hstack([x.predict_proba(both.X) for x in fitted]).astype(np.float32)
    assert np.allclose(model._scorer().load()(both.X), final.predict_proba(features), atol=1e-4)
    # The nearest neighbour is right in all rows that it has seen, and it was not asked there.
    assert np.mean(expected[:, 10:].argmax(axis=1) == both.y[kept]) < 1
    assert np.mean(features[~kept, 10:].argmax(axis=1) == both.y[~kept]) == 1

    again = blending.copy().setParams(resume=True).fit(shards)
    assert again.summary["fitted_now"] == 0
    assert again.content == model.content


def test_a_fraction_without_rows(shards):
    with pytest.raises(ConfigurationError, match="validationFraction must be between"):
        BlendingClassifier(estimators=BASES, validationFraction=1.5).fit(shards)
    with pytest.raises(DataError) as error:
        BlendingClassifier(estimators=BASES[:1], validationFraction=1e-9).fit(shards)
    assert error.value.code == "no_validation_rows"
