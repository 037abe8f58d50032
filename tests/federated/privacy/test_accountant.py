"""ε against dp-accounting for the events that happened, its printed digits, and the budget."""

from __future__ import annotations

import json
from dataclasses import replace

import dp_accounting
import numpy as np
import pytest
from dp_accounting import dp_event

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.privacy import (
    AdaptiveClipping,
    Perturbation,
    PrivacyAccountant,
    PrivacyEvent,
    RecordPrivacy,
    SiloPrivacy,
    calibrated_noise,
)
from tests.long import cases

DELTA = 1e-5
# Sampling rate, noise multiplier, steps; ε by Rényi and by privacy-loss distributions.
PRINTED = [
    (0.01, 4.0, 10_000, 1.035490, 0.946999),
    (0.01, 1.0, 10_000, 6.712757, 6.187745),
    (250 / 60_000, 1.1, 14_400, 2.561716, 2.349645),
]


@pytest.mark.parametrize(("rate", "noise", "steps", "rdp", "pld"), cases(PRINTED, PRINTED[:1]))
def test_sampled_steps_cost_the_printed_epsilon(rate, noise, steps, rdp, pld):
    for kind, printed in (("rdp", rdp), ("pld", pld)):
        accountant = PrivacyAccountant(DELTA, kind=kind)
        # As training spends them, round by round.
        privacy = RecordPrivacy(1.0, noise, rate)
        for _ in range(10):
            accountant.spend(privacy.event(steps // 10))
        assert accountant.epsilon == pytest.approx(printed, abs=1e-6)


def test_steps_without_sampling_are_one_gaussian():
    accountant = PrivacyAccountant(DELTA)
    accountant.spend(PrivacyEvent(10.0, count=100))
    # The analytic Gaussian mechanism; the grid of dp-accounting is exact for it to 1e-6.
    assert accountant.epsilon == pytest.approx(4.377178, abs=1e-6)
    assert calibrated_noise(1.0, DELTA) == pytest.approx(3.730632, abs=1e-6)


@pytest.mark.parametrize("kind", ["pld", "rdp"])
def test_all_that_happened_counts_as_in_dp_accounting(kind):
    adaptive = SiloPrivacy(0.1, 2.0, 0.5, AdaptiveClipping()).of(40)
    happened = [
        (adaptive.event(), 3),
        (PrivacyEvent(1.5, "laplace"), 2),
        (RecordPrivacy(1.0, 1.2, 0.1).event(7), 1),
    ]
    accountant = PrivacyAccountant(DELTA, kind=kind)
    for event, times in happened:
        for _ in range(times):
            accountant.spend(event)
    module = {"pld": "pld.PLDAccountant", "rdp": "rdp.RdpAccountant"}[kind].split(".")
    theirs = getattr(getattr(dp_accounting, module[0]), module[1])()
    gaussian, sampled = dp_event.GaussianDpEvent, dp_event.PoissonSampledDpEvent
    theirs.compose(sampled(0.5, gaussian(2.0)), 3)
    theirs.compose(dp_event.LaplaceDpEvent(1.5), 2)
    theirs.compose(sampled(0.1, gaussian(1.2)), 7)
    assert accountant.epsilon == pytest.approx(theirs.get_epsilon(DELTA), abs=1e-6)


def test_the_update_and_the_count_of_adaptive_clipping_cost_what_one_gaussian_does():
    privacy = SiloPrivacy(0.1, 1.3, 1.0, AdaptiveClipping()).of(100)
    both = PrivacyAccountant(DELTA)
    # The count moves by one half.
    both.spend(PrivacyEvent(privacy.update_noise))
    both.spend(PrivacyEvent(2.0 * privacy.count_noise))
    one = PrivacyAccountant(DELTA, unit="silo")
    one.spend(privacy.event())
    # Two grids of 1e-4 against one.
    assert both.epsilon == pytest.approx(one.epsilon, rel=2e-3)
    assert privacy.update_noise > 1.3
    # So few silos that the count needs more noise than a twentieth of them.
    assert SiloPrivacy(0.1, 1.3, 1.0, AdaptiveClipping()).of(2).update_noise < 1.5


def test_pure_mechanisms_cost_their_epsilon():
    for mechanism in ("laplace", "discrete_laplace"):
        accountant = PrivacyAccountant(1e-12)
        accountant.spend(Perturbation.with_epsilon(0.25, mechanism=mechanism).event)
        assert accountant.epsilon == pytest.approx(0.25, abs=1e-4)
    accountant = PrivacyAccountant(DELTA, kind="rdp")
    accountant.spend(Perturbation.with_epsilon(1.0, DELTA, "discrete_gaussian").event)
    assert accountant.epsilon == pytest.approx(1.0, abs=1e-6)


def test_records_of_different_silos_do_not_add_up():
    event = PrivacyEvent(2.0)
    accountant = PrivacyAccountant(DELTA)
    accountant.spend(event, ["a", "b"])
    once = accountant.epsilon
    accountant.spend(event, ["c"])
    assert accountant.epsilon == once
    accountant.spend(event, ["a"])
    assert accountant.epsilon == accountant.epsilon_of("a") > once
    accountant.spend(event)  # all of them
    assert accountant.epsilon_of("b") == pytest.approx(accountant.epsilon_of("c"))
    assert accountant.epsilon_of("a") > accountant.epsilon_of("b") > once


def test_the_budget_stops_before_it_is_exceeded():
    accountant = PrivacyAccountant(DELTA, budget=2.0, kind="rdp")
    event = PrivacyEvent(3.0, purpose="a round")
    allowed = accountant.affordable(event)
    for _ in range(allowed):
        accountant.spend(event)
    before = accountant.epsilon
    assert before <= 2.0 < accountant.epsilon_after(event)
    with pytest.raises(TrainingError, match="privacy_budget_used_up") as caught:
        accountant.spend(event)
    assert "a round" in caught.value.message
    assert accountant.epsilon == before and accountant.affordable(event) == 0
    restored = PrivacyAccountant.from_dict(json.loads(json.dumps(accountant.to_dict())))
    assert restored.epsilon == before and restored.budget == 2.0


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ConfigurationError, match="conflicting_params"):
        PrivacyAccountant(unit="silo").spend(PrivacyEvent(1.0))
    for kind, event in (
        ("pld", PrivacyEvent(1.0, "discrete_gaussian")),
        ("rdp", PrivacyEvent(1.0, "discrete_laplace")),
        ("rdp", PrivacyEvent(1.0, "laplace", 0.5)),
    ):
        with pytest.raises(ConfigurationError, match="conflicting_params"):
            PrivacyAccountant(kind=kind, budget=9.0).spend(event)
    event = PrivacyEvent(1.0)
    for change in (
        {"noise_multiplier": 0.0},
        {"noise_multiplier": np.nan},
        {"sampling_rate": 1.5},
        {"mechanism": "none"},
        {"count": -1},
    ):
        with pytest.raises(ConfigurationError, match="invalid_param"):
            replace(event, **change)
    for wrong in ({"delta": 0.0}, {"kind": "zcdp"}, {"budget": -1.0}, {"unit": "row"}):
        with pytest.raises(ConfigurationError, match="invalid_param"):
            PrivacyAccountant(**wrong)
