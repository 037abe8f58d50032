"""Networks as ONNX and as plain Keras models against what workers score with."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.deep.by_hand import ranks_by_hand
from tests.deep.in_a_process_onnx import NETWORKS
from tests.onnx.onnx_models import needs

needs("onnx", "onnxruntime")
# Importing it would bring TensorFlow in.
if find_spec("tf2onnx") is None:
    pytest.skip("tf2onnx is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    module = "tests.deep.in_a_process_onnx"
    return ranks_by_hand(1, module, "run", FOLDER=str(folder))[0]


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_all_forms_of_a_network_predict_the_same(found, name):
    told = found[name]
    assert told["spread"] > 1e-3
    assert told["gap"] < 1e-5
    assert told["keras_gap"] < 1e-5
    assert told["ours"] == []
    assert told["bytes"] > 500
