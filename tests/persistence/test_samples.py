"""What earlier versions have saved is read by this one, and says what it said."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path

import pytest
from pyspark.ml.base import Estimator, Model

import sparkml_dist as sd
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.public_names import PUBLIC_NAMES
from tests.long import cases

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "samples"
FOUND = sorted(p.with_suffix("") for p in SAMPLES.glob("protocol-*/*.json"))
# Networks take seconds each: TensorFlow is imported by the workers.
# A further network that is asked what it says: that of a classifier is, in `make test`.
SECOND_NETWORK = {"DeepPolicyModel"}
NETWORKS = {"KerasModel", "DeepEnsembleClassificationModel", "KerasRegressionModel"}


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "make_saved_samples.py"
    spec = importlib.util.spec_from_file_location("make_saved_samples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_that_can_be_saved_has_a_sample():
    public = {name: getattr(sd, name) for name in PUBLIC_NAMES}
    saved = {
        name
        for name, kind in public.items()
        if inspect.isclass(kind) and issubclass(kind, Persistable)
    }
    assert {p.name for p in SAMPLES.glob("protocol-1/*.json")} == {f"{n}.json" for n in saved}


def test_what_is_fitted_has_a_public_class():
    """A class that is not public could not be loaded."""
    for name in PUBLIC_NAMES:
        kind = getattr(sd, name)
        model = getattr(kind, "_model_class", None)
        if model is not None and issubclass(kind, Estimator):
            assert model.__name__ in PUBLIC_NAMES, name


@pytest.mark.parametrize(
    "home",
    cases(FOUND, [home for home in FOUND if home.name not in SECOND_NETWORK]),
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_a_sample_is_read(spark, script, home):
    trusted = ["small_network.py:small"] if "Keras" in home.name or "Deep" in home.name else []
    fitted = issubclass(getattr(sd, home.name), Model)
    if fitted:
        instance = sd.load_model(str(home))
        assert type(instance) is getattr(sd, home.name)
    else:
        instance = getattr(sd, home.name).load(str(home), trusted=trusted)
    if home.name in NETWORKS:
        return
    expected = json.loads(home.with_suffix(".json").read_text())
    if not fitted:  # values may name what lay there when it was saved
        # Params that came later have their defaults.
        assert {one[0] for one in expected} <= {one[0] for one in script.said(instance, spark)}
        return
    assert json.loads(json.dumps(script.said(instance, spark))) == expected


def test_a_sample_of_a_data_set_is_read(script):
    for home in SAMPLES.glob("protocol-*/dataset"):
        data = sd.open_partitioned(str(home))
        data.verify()
        rows = sum(len(data.read_block(i).y) for i in range(len(data.shards)))
        assert (rows, data.classes) == (len(script.table()), ["no", "yes"])
