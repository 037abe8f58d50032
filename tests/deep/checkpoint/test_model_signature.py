"""Where two networks differ first; the signatures are as `model_signature` returns them."""

from __future__ import annotations

import copy
import json

import pytest

from sparkml_dist.deep.checkpoint.model_signature import first_difference


def layer(name, kind, weights=(), **config):
    return {"name": name, "class": kind, "config": config, "weights": [list(w) for w in weights]}


def dense(name, inputs, units, **config):
    weights = [("kernel", [inputs, units], "float32"), ("bias", [units], "float32")]
    return layer(name, "Dense", weights, units=units, **config)


@pytest.fixture
def stored():
    layers = [
        layer("input", "InputLayer", batch_shape=[None, 4]),
        layer("scale", "Normalization", mean=[0.25, 1.0], axis=-1),
        dense("dense", 4, 8, activation="relu"),
        dense("dense_1", 8, 3, activation="softmax"),
    ]
    return {
        "layers": layers,
        "weights": [w for one in layers for w in one["weights"]],
        "optimizer": {"class": "SGD", "variables": [["iteration", [], "int64"]]},
    }


def changed(stored, change):
    found = copy.deepcopy(stored)
    change(found)
    return first_difference(json.loads(json.dumps(stored)), found)


def test_the_same_network_has_no_difference(stored):
    def other_order_of_sums(s):
        s["layers"][1]["config"]["mean"] = [0.2500001, 1]

    assert changed(stored, lambda s: None) is None
    assert changed(stored, other_order_of_sums) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda s: s["layers"].__setitem__(2, dense("dense", 4, 9, activation="relu")),
            "layer 3, 'dense' (Dense): kernel is float32(4, 8) in the checkpoint and "
            "float32(4, 9) in the model",
        ),
        (
            lambda s: s["layers"][3]["config"].update(activation=None),
            "layer 4, 'dense_1' (Dense): activation is \"softmax\" in the checkpoint and null in "
            "the model",
        ),
        (
            lambda s: s["layers"].insert(2, layer("dropout", "Dropout", rate=0.5)),
            "layer 3, 'dropout' (Dropout): Dense in the checkpoint",
        ),
        (
            lambda s: s["layers"].append(layer("dropout", "Dropout", rate=0.5)),
            "layer 5, 'dropout' (Dropout), which only the model has",
        ),
        (
            lambda s: s["layers"].pop(),
            "layer 4, 'dense_1' (Dense), which only the checkpoint has",
        ),
        (
            lambda s: s["layers"][1]["config"].update(mean=[0.25, 2.0]),
            "layer 2, 'scale' (Normalization): mean is [0.25, 1.0] in the checkpoint and "
            "[0.25, 2.0] in the model",
        ),
        (
            lambda s: s["layers"][2]["weights"].pop(),
            "layer 3, 'dense' (Dense): 2 variables in the checkpoint and 1 in the model",
        ),
        (
            lambda s: s["weights"].append(["scale", [1], "float32"]),
            "the weights: 4 variables in the checkpoint and 5 in the model",
        ),
        (
            lambda s: s["optimizer"].update({"class": "Adam"}),
            "the optimizer: SGD in the checkpoint, Adam in the model",
        ),
        (
            lambda s: s["optimizer"]["variables"].append(["momentum", [4, 8], "float32"]),
            "the optimizer SGD: 1 variables in the checkpoint and 2 in the model",
        ),
    ],
)
def test_the_first_difference_is_named(stored, change, told):
    assert changed(stored, change) == told
