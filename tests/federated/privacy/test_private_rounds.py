"""What leaves silos in private rounds: whose noise it is, who took part, what the budget stops."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import TrainingError
from sparkml_dist.federated import Federation, SiloPolicy
from sparkml_dist.federated.privacy import SecureSum
from sparkml_dist.federated.privacy.accountant import PrivacyAccountant, _loss
from sparkml_dist.federated.privacy.record_privacy import RecordPrivacy
from sparkml_dist.federated.privacy.silo_privacy import SiloPrivacy
from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.participation import Participation
from sparkml_dist.federated.strategies.rounds import RoundSettings, train_rounds
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.standardization import Standardization

NAMES = [f"silo{i}" for i in range(6)]
KEY = b"key" * 9


def federation(**more):
    rng = np.random.default_rng(0)
    silos = {n: (rng.normal(size=(40, 2)), rng.integers(0, 2, 40)) for n in NAMES}
    return Federation.in_memory(silos, **more)


def trained(found, rounds=2, **given):
    plain = Standardization(np.zeros(2), np.ones(2), (0, 0))
    local = given.pop("local", LocalSettings(steps=2))
    every = int(given.pop("evaluate", False))
    settings = RoundSettings(rounds=rounds, local=local, evaluate_every=every, **given)
    return train_rounds(found, Linear(2, 2), FedAvg(), settings, plain, 240)


def test_noise_of_rows_follows_from_secrets_of_the_silos_and_not_from_their_seed():
    privacy = RecordPrivacy(1.0, 1.0, 0.5)
    runs = [trained(federation(seed=0), privacy=privacy).parameters for _ in range(2)]
    assert not np.allclose(*runs)
    # Without noise a seed gives the same bits.
    plain = [trained(federation(seed=0)).parameters for _ in range(2)]
    assert np.array_equal(*plain)


def test_who_takes_part_in_private_rounds_follows_from_a_secret_and_is_not_told():
    half = Participation(0.5, seed=0)
    given = {"privacy": SiloPrivacy(1.0, 1.0, 0.5), "participation": half, "weighting": "equal"}
    asked = []
    for key in (b"one" * 9, b"two" * 9, b"one" * 9):
        found = federation()
        done = trained(found, rounds=6, noise_key=key, **given)
        assert all(not told["silos"] and not told["failed"] for told in done.history)
        audit = found.audit()
        # Rounds are numbered by those that had a silo; six of six silos may sit one out.
        asked.append(audit[audit.kind == "train"].groupby("round").silo.agg(tuple).tolist())
    assert asked[0] == asked[2] != asked[1]


def test_private_rounds_under_a_secure_sum_are_the_same_in_a_run_that_is_resumed(tmp_path):
    # Few silos take part: some rounds have none, and their noise must come again, too.
    given = {
        "privacy": SiloPrivacy(1.0, 1.0, 0.4),
        "participation": Participation(0.4),
        "weighting": "equal",
        "secure": SecureSum(range=1e4, bits=64),
        "noise_key": KEY,
    }
    runs = [trained(federation(folder=str(tmp_path)), rounds=5, **given) for _ in range(2)]
    assert np.array_equal(runs[0].parameters, runs[1].parameters)


def test_a_silo_with_a_budget_answers_nothing_without_noise():
    policy = SiloPolicy(most_epsilon=50.0, tell_errors=True)
    found = federation(policy=policy)
    for ask in (lambda: trained(found), lambda: found.sum("rows")):
        with pytest.raises(TrainingError) as caught:
            ask()
        assert caught.value.code == "too_few_silos" and "no noise" in str(caught.value)
    privacy, secure = RecordPrivacy(1.0, 2.0, 0.1), SecureSum(range=1e4, bits=64)
    assert len(trained(found, rounds=1, privacy=privacy).history[0]["silos"]) == 6
    assert len(trained(found, rounds=1, privacy=privacy, secure=secure).history[0]["silos"]) == 6


def test_the_budget_of_a_silo_stops_its_answers():
    policy = SiloPolicy(most_epsilon=1.0)
    with pytest.raises(TrainingError, match="privacy_budget_used_up"):
        trained(federation(policy=policy), rounds=3, privacy=RecordPrivacy(1.0, 3.0, 0.5))


def test_all_silos_ask_the_accountant_once():
    privacy, before = RecordPrivacy(1.0, 1.25, 0.5), _loss.cache_info()
    accountant = PrivacyAccountant(1e-5, budget=1e3)
    done = trained(federation(), rounds=3, privacy=privacy, accountant=accountant)
    assert _loss.cache_info().misses - before.misses == 3  # one for each round, not for each silo
    alone = PrivacyAccountant(1e-5)
    alone.spend(privacy.event(6))
    assert done.epsilon == pytest.approx(alone.epsilon, abs=1e-9)


def test_many_steps_fit_into_the_words_of_a_secure_sum():
    secure = SecureSum(range=8.0, bits=32)
    given = {"rounds": 1, "local": LocalSettings(steps=300, batch_size=0, rate=0.01)}
    found = trained(federation(), secure=secure, **given)
    plain = trained(federation(), **given)
    assert found.history[0]["steps"] == pytest.approx(300, abs=0.1)
    # Steps of 6 * 8 / 2^31 for each of six silos.
    assert found.parameters == pytest.approx(plain.parameters, abs=1e-6)


def test_the_owner_of_a_silo_may_raise_its_budget_and_lower_it(tmp_path):
    def run(most, rounds):
        found = federation(folder=str(tmp_path), policy=SiloPolicy(most_epsilon=most))
        return trained(found, rounds=rounds, privacy=RecordPrivacy(1.0, 3.0, 0.5), noise_key=KEY)

    with pytest.raises(TrainingError, match="privacy_budget_used_up"):
        run(1.0, 6)
    whole = run(20.0, 6)
    assert len(whole.history) == 6 and not whole.history[-1]["failed"]
    with pytest.raises(TrainingError, match="privacy_budget_used_up"):
        run(1.5, 7)


def test_metrics_under_a_secure_sum_are_those_without():
    """Sums of losses pass the range of updates by far: they have words of 64 bits of their own."""
    given = {
        "rounds": 1,
        "local": LocalSettings(steps=2, batch_size=0, rate=200.0),
        "evaluate": True,
    }
    secure = trained(federation(), secure=SecureSum(range=100.0, bits=32), **given)
    plain = trained(federation(), **given)
    assert secure.history[0]["logLoss"] == pytest.approx(plain.history[0]["logLoss"], rel=1e-5)
    assert plain.history[0]["logLoss"] > 1 and not secure.silos and plain.silos


def test_the_ledger_holds_who_took_part():
    found = federation()
    half = Participation(0.5, seed=3)
    done = trained(found, rounds=5, participation=half)
    audit = found.audit()
    told = (
        audit[audit.kind == "train"]
        .groupby("round")
        .silo.agg(lambda found: sorted({*found}))
        .tolist()
    )
    drawn = [half.drawn(NAMES, number) for number in range(5)]
    assert told == [sorted(silos) for silos in drawn if silos]
    assert [told["silos"] for told in done.history] == drawn
