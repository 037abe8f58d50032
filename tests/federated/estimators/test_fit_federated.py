"""Models of federations in memory: fitted, saved, handed over, private, personal; no session."""

from __future__ import annotations

import numpy as np
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, TrainingError
from sparkml_dist.federated.privacy.accountant import PrivacyAccountant
from sparkml_dist.federated.privacy.event import PrivacyEvent
from sparkml_dist.federated.strategies import Ditto, TrimmedMean
from tests.long import cases


def silos(n=80, count=4, regression=False):
    rng = np.random.default_rng(0)
    found = {}
    for i in range(count):
        X = rng.normal(size=(n + 20 * i, 3)) * [1.0, 10.0, 0.1] + [i, 0.0, 5.0]
        score = X[:, 0] - 1.5 + 0.1 * X[:, 1] + rng.normal(size=len(X)) / 4
        found[f"s{i}"] = (X, score if regression else np.where(score > 0, "yes", "no"))
    return found


def federation(**options):
    return sd.Federation.in_memory(silos(**options), regression=options.get("regression", False))


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({}, 0.85),
        ({"model": "perceptron", "hiddenUnits": [8], "learningRate": 0.3}, 0.85),
        ({"model": "fourier", "numFourierFeatures": 64, "learningRate": 0.02}, 0.8),
        ({"strategy": "scaffold", "participation": 3, "validationFraction": 0.2}, 0.85),
        ({"aggregation": TrimmedMean(share=0.25), "strategy": "fedadam"}, 0.8),
        ({"secure": True}, 0.85),
    ],
)
def test_classifiers_learn_and_come_back_from_their_files(settings, least, tmp_path):
    model = sd.fit_federated(federation(), rounds=5, **settings)
    assert model.rounds["accuracy"].iloc[-1] > least
    assert model.classes == ["no", "yes"]
    X = np.concatenate([X for X, _ in silos().values()])
    y = np.concatenate([y for _, y in silos().values()])
    local = model.to_sklearn()
    assert (local.predict(X) == y).mean() > least
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    np.testing.assert_array_equal(again.to_sklearn().predict_proba(X), local.predict_proba(X))
    assert len(again.audit()) == len(model.audit()) > 0
    assert again.summary["bytes_per_silo_round"] > 0


def test_a_regression_is_in_the_units_of_its_label():
    model = sd.fit_federated(federation(regression=True), rounds=30)
    last = model.rounds.iloc[-1]
    assert last["rmse"] == pytest.approx(0.25, abs=0.05) and last["r2"] > 0.9
    X, y = silos(regression=True)["s2"]
    found = model.to_sklearn().predict(X)
    wanted = model.silos.set_index("silo").loc["s2", "rmse"]
    # Features are scored in double precision, as they are trained on.
    assert np.sqrt(np.mean((found - y) ** 2)) == pytest.approx(wanted, rel=1e-6)


def test_secure_and_plain_sums_train_the_same_model():
    given = {"rounds": 3, "batchSize": 0}
    found = [sd.fit_federated(federation(), secure=s, **given) for s in (True, False)]
    X = np.concatenate([X for X, _ in silos().values()])
    # Fixed point has steps of 4e4 / 2**63, standardized sums of 1e9 / 2**63 each.
    np.testing.assert_allclose(*(m.to_sklearn().predict_proba(X) for m in found), atol=1e-6)
    assert "train" not in set(found[0].audit()["kind"])
    assert found[0].silos.empty and not found[1].silos.empty


def test_personal_models_are_collected_when_asked_for(tmp_path):
    given = {"rounds": 3, "strategy": Ditto(lam=0.1), "personalModels": True}
    model = sd.fit_federated(federation(), **given)
    model.save(str(tmp_path / "m"))
    own = sd.load_model(str(tmp_path / "m")).personalModels
    assert sorted(own) == ["s0", "s1", "s2", "s3"]
    X, y = silos()["s3"]
    hits = (own["s3"].to_sklearn().predict(X) == y).mean()
    assert hits == pytest.approx(model.silos.set_index("silo").loc["s3", "accuracy"], abs=0.02)


PRIVATE = {
    "standardization": False,
    "noiseMultiplier": 4.0,
    "clipNorm": 1.0,
    "rounds": 2,
    "batchSize": 0,
}


@pytest.mark.parametrize("size", cases([0, 46], [0]))  # sampling takes the accountant seconds
def test_the_privacy_of_records_is_that_of_the_steps_taken(size):
    model = sd.fit_federated(federation(n=200), **{**PRIVATE, "batchSize": size})
    rate = size / np.mean([200 + 20 * i for i in range(4)]) if size else 1.0
    accountant = PrivacyAccountant(1e-5)
    accountant.spend(PrivacyEvent(4.0, sampling_rate=rate, count=2 * int(np.ceil(1 / rate))))
    assert model.epsilon == pytest.approx(accountant.epsilon, abs=1e-9)
    told = model.audit()
    assert told[told["direction"] == "answer"]["epsilon"].max() == pytest.approx(model.epsilon)
    # Nothing without noise leaves: neither moments, metrics nor losses.
    assert set(told["kind"]) == {"schema", "agree", "train"}
    assert (model.rounds["loss"] == 0).all()


@pytest.mark.parametrize("secure", cases([False, True], [True]))
def test_the_privacy_of_silos_is_that_of_the_rounds(secure):
    given = {**PRIVATE, "privacyUnit": "silo", "weighting": "equal", "secure": secure}
    model = sd.fit_federated(federation(), adaptiveClipping=True, **given)
    accountant = PrivacyAccountant(1e-5, unit="silo")
    accountant.spend(PrivacyEvent(4.0, count=2, unit="silo"))
    assert model.epsilon == pytest.approx(accountant.epsilon, abs=1e-9)


@pytest.mark.long
def test_a_budget_ends_the_training():
    one = sd.fit_federated(federation(), **{**PRIVATE, "rounds": 1}).epsilon
    model = sd.fit_federated(federation(), **{**PRIVATE, "rounds": 9}, maxEpsilon=1.5 * one)
    assert 1 <= len(model.rounds) < 9 and model.epsilon <= 1.5 * one
    with pytest.raises(TrainingError, match="privacy_budget_used_up"):
        sd.fit_federated(federation(), **PRIVATE, maxEpsilon=0.5 * one)


@pytest.mark.long
def test_noise_grows_with_its_multiplier():
    largest = []
    for noise in (2.0, 1e4):
        model = sd.fit_federated(federation(), **{**PRIVATE, "noiseMultiplier": noise})
        largest.append(np.abs(np.load(model.folder.uri("parameters.npy"))).max())
    assert largest[1] > 100 * largest[0]


def test_a_fit_that_was_interrupted_goes_on(tmp_path):
    where, folder = str(tmp_path / "m"), str(tmp_path / "f")

    def fit(alter=None):
        found = sd.Federation.in_memory(silos(), folder=folder, alter=alter)
        given = {"rounds": 5, "minSilos": 4, "strategy": "scaffold"}
        return sd.fit_federated(found, modelDir=where, resume=True, **given)

    def dies(answer, request):
        if request.kind == "train" and request.round >= 8:
            raise ConnectionError("gone")
        return answer

    with pytest.raises(TrainingError, match="too_few_silos"):
        fit({"s1": dies})
    before = len(list((tmp_path / "f").rglob("round.json")))
    assert before >= 8
    model = fit()
    plain = sd.fit_federated(federation(), rounds=5, minSilos=4, strategy="scaffold")
    X, _ = silos()["s0"]
    found = [m.to_sklearn().predict_proba(X) for m in (model, plain)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"rounds": 0}, "invalid_param"),
        ({"model": "linear"}, "invalid_param"),
        ({"model": "resnet"}, "unknown_builder"),
        ({"strategy": "fedsgd"}, "invalid_param"),
        ({"aggregation": "krum", "strategy": "scaffold"}, "conflicting_params"),
        ({"aggregation": "median", "secure": True}, "conflicting_params"),
        ({"personalModels": True}, "conflicting_params"),
        ({"noiseMultiplier": 1.0, "standardization": False}, "conflicting_params"),
        ({**PRIVATE, "standardization": True}, "conflicting_params"),
        ({**PRIVATE, "evaluateEvery": 1}, "conflicting_params"),
        ({**PRIVATE, "strategy": "ditto"}, "conflicting_params"),
        ({**PRIVATE, "privacyUnit": "silo"}, "conflicting_params"),
        ({"participation": "all"}, "invalid_param"),
        ({"numFourierFeatures": 3}, "invalid_param"),
    ],
)
def test_params_that_cannot_be_are_refused_before_any_training(settings, code):
    asked = federation()
    with pytest.raises(ConfigurationError, match=code):
        sd.fit_federated(asked, **settings)
    assert "train" not in set(asked.audit()["kind"]) if asked.round else True


def test_a_label_of_one_class_is_refused():
    rows = {"a": ([[1.0]], [0]), "b": ([[2.0]], [0])}
    with pytest.raises(DataError, match="one_class"):
        sd.fit_federated(sd.Federation.in_memory(rows))


def test_files_of_another_size_are_refused(tmp_path):
    sd.fit_federated(federation(), rounds=1).save(str(tmp_path / "m"))
    file = next((tmp_path / "m").rglob("parameters.npy"))
    np.save(file, np.zeros(2))
    with pytest.raises(StorageError, match="altered"):
        sd.load_model(str(tmp_path / "m"))
