"""The losses of networks that learn from transitions, by hand; in a process with TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ALGORITHMS = ["dqn", "cql", "bcq", "iql", "bc", "iql-numbers", "td3bc-numbers", "bc-numbers"]
# Sums of single precision.
ROUNDING = 2e-5


def _run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tests.reinforcement.in_a_process_networks", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found():
    return _run()


def test_conservative_learning_without_its_term_is_dqn(found):
    cql = found["conservative"]
    assert cql["none"] < 1e-6 < cql["some"]
    assert cql["logs"] == ["conservative_loss", "loss", "value_loss"]
    assert cql["sum"] == pytest.approx(0, abs=ROUNDING)


@pytest.mark.parametrize("case", ["double", "single", "dueling", "available"])
def test_values_move_to_the_target_networks_value_of_the_best_action(found, case):
    assert found["double_target"][case] < ROUNDING


@pytest.mark.parametrize("case", ["expectile", "list", "numbers"])
def test_the_terms_of_implicit_q_learning(found, case):
    assert found["implicit"][case] < 10 * ROUNDING  # weights of up to 100


def test_target_networks_are_copied_at_times_or_approach_a_little_each_time(found):
    targets = found["target_networks"]
    assert targets["changes"] == [False, False, True, False, False, True]
    assert targets["moved"] < ROUNDING
    assert targets["trained"]


def test_batch_constrained_learning_leaves_unlikely_actions_out(found):
    assert found["batch_constrained"]["refused"] > 5
    assert found["batch_constrained"]["gap"] < ROUNDING


def test_a_policy_of_numbers_moves_itself_only_and_stays_within_the_logs_range(found):
    numbers = found["numbers"]
    assert numbers["only_policy"] and numbers["inside"] and numbers["finite"]
    assert numbers["loss"] < ROUNDING


def test_categories_of_states_become_indicators(found):
    assert found["categories"] < ROUNDING


@pytest.mark.long
def test_the_network_that_is_saved_is_loaded_in_safe_mode():
    gaps = _run("saved")["saved"]
    assert sorted(gaps) == sorted([*ALGORITHMS, "dqn-words"])
    assert max(gaps.values()) < 1e-6
