"""The Params of a step, from an estimator to its ranks."""

from __future__ import annotations

import json

import pytest
from sklearn.datasets import load_digits

from sparkml_dist import KerasClassifier
from sparkml_dist.errors import ConfigurationError


def test_a_value_that_is_none_is_refused_before_any_job(spark):
    frame = spark.createDataFrame([(0.0, 0), (1.0, 1)], "x double, label int")
    learner = KerasClassifier(builder="mlp", mixedPrecision="bfloat61", numRanks=1)
    with pytest.raises(ConfigurationError, match="Did you mean 'bfloat16'"):
        learner.fit(frame)
    with pytest.raises(ConfigurationError, match="clipNorm must be a finite number > 0. Got -1"):
        KerasClassifier(builder="mlp", clipNorm=-1.0, numRanks=1).fit(frame)


@pytest.mark.long
def test_all_of_it_together_learns(spark, tmp_path):
    digits = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    model = KerasClassifier(
        builder="mlp",
        numRanks=2,
        epochs=6,
        batchSize=16,
        accumulationSteps=2,
        clipNorm=5.0,
        learningRateScaling="sqrt",
        warmupEpochs=1.0,
        mixedPrecision="bfloat16",
        compression="fp16",
        fusionMb=16.0,
        cycleMs=0.5,
        tensorboard=True,
        modelDir=str(tmp_path / "model"),
    ).fit(spark.createDataFrame(digits))
    assert model.history["accuracy"][-1] > 0.9
    # 1797 rows, 16 at a time on two ranks, two of these in an update.
    assert model.summary["steps"] in (29, 30)
    lines = (tmp_path / "model" / "logs" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = next(e for e in events if e.get("event") == "training")
    assert told["transport"] in ("memory", "horovod")
