"""Shards as a tf.data.Dataset: every row once in each pass, and plain Keras trains on it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from sparkml_dist import partition
from sparkml_dist.deep.input.tf_dataset import as_tf_dataset
from sparkml_dist.errors import ConfigurationError

# TensorFlow runs in a process of its own.
CODE = """
import json, sys
import numpy as np
from sparkml_dist import open_partitioned
from sparkml_dist.deep.backend.with_horovod import keras
from sparkml_dist.deep.input.tf_dataset import as_tf_dataset

data = open_partitioned(sys.argv[1])
inputs = {"id": "id", "shop": {"columns": "shop", "shape": []}}
dataset = as_tf_dataset(data, 32, inputs=inputs)
passes = []
for _ in range(2):
    found = [(x["id"].numpy(), x["shop"].numpy(), y.numpy(), w.numpy()) for x, y, w in dataset]
    passes.append([np.concatenate(c).ravel().tolist() for c in zip(*found)])
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
fitted = model.fit(as_tf_dataset(data, 32), epochs=2, verbose=0)
print("FOUND", json.dumps([passes, len(found), len(fitted.history["loss"])]))
"""


@pytest.fixture(scope="module")
def data(spark, tmp_path_factory):
    rows = [(float(i), "abc"[i % 3], i % 2, 1.0 + i % 4) for i in range(150)]
    frame = spark.createDataFrame(rows, "id double, shop string, label int, w double")
    folder = tmp_path_factory.mktemp("data")
    return partition(frame, folder / "d", label="label", weight="w", categorical=["shop"], shards=3)


@pytest.mark.long
def test_passes_of_whole_epochs(data):
    run = subprocess.run(
        [sys.executable, "-c", CODE, data.location], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    passes, steps, epochs = json.loads(run.stdout.rpartition("FOUND")[2])
    assert (steps, epochs) == (5, 2)
    for ids, shop, y, weight in passes:
        i = np.array(ids)
        assert sorted(ids) == list(range(150))
        assert (np.array(shop) == i % 3).all()
        assert (np.array(y) == i % 2).all()
        assert (np.array(weight) == 1 + i % 4).all()
    assert passes[0][0] != passes[1][0]


def test_what_is_refused_before_tensorflow_is_imported(data):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        as_tf_dataset(data, 0)
    with pytest.raises(ConfigurationError, match="input_shape_differs"):
        as_tf_dataset(data, 8, input_shape=[3])
