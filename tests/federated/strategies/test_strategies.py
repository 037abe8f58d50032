"""Strategies against closed forms, against each other, and against silos that fail."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.federation import Federation
from sparkml_dist.federated.strategies.aggregation.median import CoordinateMedian
from sparkml_dist.federated.strategies.clustered import Clustered
from sparkml_dist.federated.strategies.ditto import Ditto
from sparkml_dist.federated.strategies.fedadam import FedAdam
from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.fedavgm import FedAvgM
from sparkml_dist.federated.strategies.feddyn import FedDyn
from sparkml_dist.federated.strategies.fednova import FedNova
from sparkml_dist.federated.strategies.fedprox import FedProx
from sparkml_dist.federated.strategies.fedyogi import FedYogi
from sparkml_dist.federated.strategies.participation import Participation
from sparkml_dist.federated.strategies.rounds import RoundSettings, train_rounds
from sparkml_dist.federated.strategies.scaffold import Scaffold
from sparkml_dist.federated.strategies.strategy_of import STRATEGIES, strategy_of
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.moments_work import find_standardization
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.federated.work import Answer

ROOT = 10**0.5
#: Losses x² / 2 and 10 (x - 1)² / 2.
QUADRATICS = {"flat": ([[1.0]], [0.0]), "steep": ([[ROOT]], [ROOT])}
PLAIN = Standardization(np.zeros(1), np.ones(1), (0,))
TEN_STEPS = LocalSettings(steps=10, batch_size=0, rate=0.05)


def quadratics(strategy, rounds=60, local=TEN_STEPS, **settings):
    federation = Federation.in_memory(QUADRATICS, regression=True)
    given = RoundSettings(rounds=rounds, local=local, evaluate_every=0, **settings)
    line = Linear(1, 0, intercept=False)
    return float(train_rounds(federation, line, strategy, given, PLAIN, 2).parameters[0])


def three_silos(seed=0):
    rng = np.random.default_rng(seed)
    silos = {}
    for i, n in enumerate((30, 50, 20)):
        X = rng.normal(size=(n, 3)) + i
        silos[f"silo{i}"] = (X, (X.sum(axis=1) + rng.normal(size=n) > 3 * i).astype(int))
    return silos


def trained(strategy=None, silos=None, federation=None, **settings):
    federation = federation or Federation.in_memory(silos or three_silos())
    standardization, n = find_standardization(federation)
    given = RoundSettings(**{"rounds": 3, "evaluate_every": 0, **settings})
    strategy = strategy or FedAvg()
    return train_rounds(federation, Linear(3, 2), strategy, given, standardization, n)


def test_federated_averaging_converges_between_the_optima():
    assert quadratics(FedAvg()) == pytest.approx(0.7134421697, abs=1e-10)


@pytest.mark.parametrize(("strategy", "rounds"), [(Scaffold(), 120), (FedDyn(alpha=2.0), 120)])
def test_corrected_strategies_converge_to_the_optimum_of_the_sum(strategy, rounds):
    assert quadratics(strategy, rounds) == pytest.approx(10 / 11, abs=1e-8)


def test_scaffold_and_feddyn_converge_to_the_optimum_of_all_rows_with_unequal_silos():
    weights = {"flat": ([[1.0]] * 3, [0.0] * 3), "steep": ([[ROOT]], [ROOT])}
    for strategy in (Scaffold(), FedDyn(alpha=2.0)):
        federation = Federation.in_memory(weights, regression=True)
        settings = RoundSettings(rounds=200, local=TEN_STEPS, evaluate_every=0)
        line = Linear(1, 0, intercept=False)
        found = train_rounds(federation, line, strategy, settings, PLAIN, 4)
        assert found.parameters[0] == pytest.approx(10 / 13, abs=1e-7)


def test_normalized_averaging_is_not_pulled_by_silos_of_many_steps():
    silos = {"many": ([[1.0]] * 8, [0.0] * 8), "few": ([[1.0]] * 2, [1.0] * 2)}
    local = LocalSettings(epochs=1, batch_size=1, rate=0.01)
    found = {}
    for strategy in (FedAvg(), FedNova()):
        federation = Federation.in_memory(silos, regression=True)
        settings = RoundSettings(rounds=300, local=local, evaluate_every=0, weighting="equal")
        line = Linear(1, 0, intercept=False)
        done = train_rounds(federation, line, strategy, settings, PLAIN, 10)
        found[strategy.name] = float(done.parameters[0])
    # Equal weights: the optimum is 1/2. Averages are pulled to the silo of four times the steps.
    assert abs(found["fednova"] - 0.5) < 0.02
    assert found["fedavg"] < 0.25


def test_without_its_term_a_strategy_is_federated_averaging():
    wanted = trained(FedAvg()).parameters
    for strategy in (FedProx(mu=0.0), FedAvgM(momentum=0.0), Ditto(lam=0.0)):
        np.testing.assert_array_equal(trained(strategy).parameters, wanted)
    nova = trained(FedNova(), local=LocalSettings(steps=4)).parameters
    np.testing.assert_allclose(nova, trained(local=LocalSettings(steps=4)).parameters, rtol=1e-9)


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "scaffold", "fednova"])
def test_one_step_on_all_rows_is_gradient_descent_on_the_rows_of_all(name):
    silos = three_silos()
    found = trained(strategy_of(name), rounds=5, local=LocalSettings(steps=1, batch_size=0, rate=1))
    X = np.concatenate([X for X, _ in silos.values()])
    y = np.concatenate([y for _, y in silos.values()])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    at, model = np.zeros(4), Linear(3, 2)
    for _ in range(5):
        at = at - model.gradient(at, np.zeros(0), X, y).vector
    np.testing.assert_allclose(found.parameters, at, rtol=1e-10)


@pytest.mark.parametrize("kind", [FedAdam, FedYogi])
def test_adaptive_steps_by_hand(kind):
    strategy = kind(serverRate=0.5, beta1=0.8, beta2=0.9, tau=0.1)
    state = strategy.begin(np.zeros(1), np.random.default_rng(0))
    at, m, v = 0.0, 0.0, 0.01
    for delta in (0.3, -0.2, 0.05):
        state = strategy.update(state, {"delta": np.array([delta])}, None)
        m = 0.8 * m + 0.2 * delta
        grown = delta**2 if kind is FedAdam else np.sign(delta**2 - v) * delta**2 + v
        v = 0.9 * v + 0.1 * grown
        at += 0.5 * m / (v**0.5 + 0.1)
    assert state["parameters"][0] == pytest.approx(at, rel=1e-12)


def test_personal_models_stay_in_silos_and_fit_them_better():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    silos = {"up": (X, (X[:, 0] > 0).astype(int)), "down": (X, (X[:, 0] < 0).astype(int))}
    local = LocalSettings(epochs=3)
    common = trained(FedAvg(), silos, local=local, evaluate_every=3)
    assert common.history[-1]["accuracy"] < 0.7
    for strategy in (Ditto(lam=0.01), Clustered(k=2)):
        federation = Federation.in_memory(silos)
        own = trained(strategy, federation=federation, local=local, evaluate_every=3)
        assert own.history[-1]["accuracy"] > 0.9
        assert own.silos["up"]["rows"] == 60
        assert "personal" not in set(federation.audit()["kind"])


def test_a_run_that_is_started_again_comes_to_the_same_bits(tmp_path):
    def run(rounds, folder):
        federation = Federation.in_memory(three_silos(), folder=str(folder))
        settings = {"rounds": rounds, "participation": Participation(2, 1), "evaluate_every": 2}
        return trained(Scaffold(), federation=federation, **settings), federation

    whole, _ = run(6, tmp_path / "whole")
    first, _ = run(4, tmp_path / "parts")
    rest, federation = run(6, tmp_path / "parts")
    np.testing.assert_array_equal(rest.parameters, whole.parameters)
    assert not np.array_equal(first.parameters, whole.parameters)
    assert [h["silos"] for h in rest.history] == [h["silos"] for h in whole.history]
    assert (federation.audit()["kind"] == "train").sum() == 6 * 2 * 2


@pytest.mark.parametrize("aggregation", [None, CoordinateMedian()])
def test_a_silo_that_dies_or_sends_nan_is_left_out(aggregation):
    def nan(answer: Answer, request: object) -> Answer:
        if "delta" not in answer.arrays:
            return answer
        bad = {**answer.arrays, "delta": np.full_like(answer.arrays["delta"], np.nan)}
        return Answer(answer.facts, bad)

    def dead(answer: Answer, request: object) -> Answer:
        if "delta" in answer.arrays:
            raise ConnectionError("gone")
        return answer

    federation = Federation.in_memory(three_silos(), alter={"silo0": nan, "silo2": dead})
    settings = {} if aggregation is None else {"aggregation": aggregation}
    found = trained(federation=federation, **settings)
    assert [h["silos"] for h in found.history] == [["silo1"]] * 3
    assert found.history[0]["failed"] == {"silo0": "answer_refused", "silo2": "silo_failed"}
    assert np.isfinite(found.parameters).all()
    with pytest.raises(TrainingError, match="too_few_silos"):
        trained(federation=federation, minimum=2, **settings)


def test_a_rate_that_is_too_high_is_told():
    with pytest.raises(TrainingError, match=r"too_few_silos.*diverged"):
        quadratics(FedAvg(), local=LocalSettings(steps=50, batch_size=0, rate=1e9), minimum=2)


def test_partial_participation_follows_its_law():
    names = [f"s{i}" for i in range(10)]
    drawn = [Participation(0.3, 5).drawn(names, r) for r in range(4000)]
    sizes = np.array([len(d) for d in drawn])
    # Binomial(10, 0.3): four standard errors of mean and variance over 4,000 rounds.
    assert sizes.mean() == pytest.approx(3.0, abs=4 * (2.1 / 4000) ** 0.5)
    assert sizes.var() == pytest.approx(2.1, abs=4 * 2.1 * (2 / 4000) ** 0.5)
    shares = np.array([sum(n in d for d in drawn) / 4000 for n in names])
    assert np.abs(shares - 0.3).max() < 4 * (0.21 / 4000) ** 0.5
    assert {len(Participation(3, 5).drawn(names, r)) for r in range(50)} == {3}
    assert Participation(0.3, 5).drawn(names, 7) == drawn[7]


def test_a_constant_and_units_change_nothing():
    silos = three_silos()
    other = {n: (X * [1e-6, 1.0, 1e6] + [0.0, 5.0, -1e9], y) for n, (X, y) in silos.items()}
    wanted = trained(silos=silos).parameters
    # Deviations of order 1e6 beside 1e9 keep thirteen digits.
    np.testing.assert_allclose(trained(silos=other).parameters, wanted, rtol=1e-6, atol=1e-8)
    flat = {
        n: (np.column_stack([X[:, :2], np.full(len(X), 7.0)]), y) for n, (X, y) in silos.items()
    }
    assert trained(silos=flat).parameters[2] == 0.0


def test_missing_values_take_the_mean_of_all_silos():
    silos = three_silos()
    silos["silo1"][0][::2, 1] = np.nan
    known = np.concatenate([X[:, 1] for X, _ in silos.values()])
    filled = {n: (np.where(np.isnan(X), np.nanmean(known), X), y) for n, (X, y) in silos.items()}
    federation = Federation.in_memory(silos)
    standardization, n = find_standardization(federation)
    assert standardization.mean[1] == pytest.approx(np.nanmean(known))
    whole = LocalSettings(batch_size=0)
    settings = RoundSettings(rounds=2, evaluate_every=0, local=whole)
    found = [
        train_rounds(f, Linear(3, 2), FedAvg(), settings, standardization, n).parameters
        for f in (federation, Federation.in_memory(filled))
    ]
    np.testing.assert_allclose(*found, rtol=1e-9)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_comes_back_from_its_description(name):
    assert strategy_of(strategy_of(name).to_dict()) == STRATEGIES[name]()


@pytest.mark.parametrize(
    "given",
    [
        "fedsgd",
        {"name": "fedprox", "nu": 1},
        FedProx(mu=-1.0),
        FedAdam(tau=0.0),
        FedDyn(alpha=0.0),
        Clustered(k=0),
        7,
    ],
)
def test_what_is_no_strategy_is_refused(given):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        strategy_of(given)


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigurationError, match="conflicting_params"):
        trained(Scaffold(), aggregation=CoordinateMedian())
    for wrong in (
        {"rounds": 0},
        {"weighting": "some"},
        {"participation": Participation(1.5)},
        {"participation": Participation(9)},
        {"local": LocalSettings(rate=float("nan"))},
        {"local": LocalSettings(momentum=1.0)},
    ):
        with pytest.raises(ConfigurationError, match="invalid_param"):
            trained(**wrong)
