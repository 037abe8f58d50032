"""Off-policy estimates on enumerated processes, and their intervals on simulated logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.reinforcement.evaluation.estimators import METHODS
from sparkml_dist.reinforcement.evaluation.evaluate import EvaluationOptions, evaluate_log
from sparkml_dist.reinforcement.evaluation.replicates import poisson_replicates
from sparkml_dist.reinforcement.evaluation.state_basis import ListedStates, StateFeatures
from tests.long import cases
from tests.reinforcement.small_process import (
    ACTIONS,
    BEHAVIOR,
    DISCOUNT,
    TARGET,
    TablePolicy,
    TableValues,
    block_of,
    cut,
    random_episode,
    true_value,
    whole_log,
)

ALL = tuple(METHODS)
QUICK = EvaluationOptions(ALL, discount=DISCOUNT, replicates=0, interval="student")


def states(log: Any) -> ListedStates:
    return ListedStates.of(np.concatenate([b.state for shard in log.shards for b in shard]))


def by_time(log: Any) -> ListedStates:
    return ListedStates.of(
        np.concatenate(
            [
                np.nan_to_num(s)
                for shard in log.shards
                for b in shard
                for s in (b.state, b.next_state)
            ]
        )
    )


def sampled(n: int, seed: int, horizon: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    keys = rng.integers(-(2**62), 2**62, n)
    return block_of([random_episode(rng, horizon) for _ in range(n)], keys=keys)


@pytest.mark.parametrize("method", [m for m in ALL if m not in ("clipped",)])
@pytest.mark.parametrize("horizon", [1, 3])
def test_enumerated_process_gives_the_true_value(method: str, horizon: int) -> None:
    log = whole_log(horizon)
    options = replace(QUICK, methods=(method,))
    found = evaluate_log(TARGET, log, options, basis=by_time(log))
    assert found.estimates[method].value == pytest.approx(true_value(TARGET, horizon), abs=1e-10)
    own = evaluate_log(BEHAVIOR, log, options, basis=by_time(log))
    assert own.estimates[method].value == pytest.approx(true_value(BEHAVIOR, horizon), abs=1e-10)
    assert own.diagnostics["mean_ratio"] == pytest.approx(1)
    assert found.diagnostics["logged_return"] == pytest.approx(true_value(BEHAVIOR, horizon))


def test_doubly_robust_is_right_with_wrong_values() -> None:
    log = whole_log(3)
    wrong = TableValues(TARGET.table, values=np.random.default_rng(0).normal(size=(3, 2)) * 5)
    found = evaluate_log(TARGET, log, replace(QUICK, methods=("dr",)), basis=None, q=wrong)
    assert found.estimates["dr"].value == pytest.approx(true_value(TARGET, 3), abs=1e-10)


def test_doubly_robust_is_right_with_wrong_propensities() -> None:
    log = whole_log(3)
    (block,) = log.shards[0]
    false = replace(block, behavior_prob=np.where(block.action == 0, 0.4, 0.6))
    log = replace(log, shards=[[false]])
    found = evaluate_log(TARGET, log, replace(QUICK, methods=("dr", "pdis")), basis=by_time(log))
    assert found.estimates["dr"].value == pytest.approx(true_value(TARGET, 3), abs=1e-10)
    assert abs(found.estimates["pdis"].value - true_value(TARGET, 3)) > 0.01
    assert found.diagnostics["mean_ratio"] > 1.02


def test_clipping_at_infinity_changes_nothing() -> None:
    log = cut(sampled(200, 0), 1)
    options = replace(QUICK, methods=("is", "clipped"), clip=1e9)
    found = evaluate_log(TARGET, log, options, basis=None)
    assert found.estimates["is"].value == found.estimates["clipped"].value
    less = evaluate_log(TARGET, log, replace(options, clip=0.5), basis=None)
    assert less.diagnostics["clipped"] > 0


def test_estimates_are_those_of_plain_loops() -> None:
    block = sampled(60, 1)
    log = cut(block, 1)
    found = evaluate_log(TARGET, log, QUICK, basis=by_time(log))
    starts = np.append(np.flatnonzero(block.first), len(block))
    ratio = (
        np.asarray(TARGET.table)[block.state[:, 0].astype(int), block.action] / block.behavior_prob
    )
    w = np.ones((60, 4))
    gains, returns = np.zeros((60, 3)), np.zeros(60)
    for i in range(60):
        for t in range(3):
            row = starts[i] + t
            w[i, t + 1] = w[i, t] * (ratio[row] if row < starts[i + 1] else 1.0)
            if row < starts[i + 1]:
                gains[i, t] = DISCOUNT**t * block.reward[row]
        returns[i] = gains[i].sum()
    last = w[:, 3]
    expected = {
        "is": np.mean(last * returns),
        "wis": (last * returns).sum() / last.sum(),
        "clipped": np.mean(np.minimum(last, np.sqrt(60)) * returns),
        "pdis": (w[:, 1:] * gains).sum() / 60,
        "wpdis": ((w[:, 1:] * gains).sum(axis=0) / w[:, 1:].sum(axis=0)).sum(),
    }
    for method, value in expected.items():
        assert found.estimates[method].value == pytest.approx(value, abs=1e-12)
    assert found.diagnostics["effective_episodes"] == pytest.approx(
        last.sum() ** 2 / (last**2).sum()
    )


def test_no_cut_changes_a_bit() -> None:
    block = sampled(300, 2)
    options = EvaluationOptions(ALL, discount=DISCOUNT, replicates=60)
    whole = evaluate_log(TARGET, cut(block, 1), options, basis=by_time(cut(block, 1)))
    for shards in (2, 5):
        log = cut(block, shards)
        found = evaluate_log(TARGET, log, options, basis=by_time(cut(block, 1)))
        for method, estimate in found.estimates.items():
            other = whole.estimates[method]
            assert (estimate.value, estimate.error, estimate.low, estimate.high) == (
                other.value,
                other.error,
                other.low,
                other.high,
            )
            assert np.array_equal(estimate.replicates, other.replicates)
        assert found.diagnostics == whole.diagnostics


def test_weights_are_repetitions() -> None:
    block = sampled(80, 3)
    counts = np.random.default_rng(0).integers(1, 4, 80)
    owner = np.cumsum(block.first) - 1
    weighted = replace(block, weight=counts[owner].astype(float))
    repeated = [block.take(owner == i) for i in range(80) for _ in range(counts[i])]
    options = replace(QUICK, methods=tuple(m for m in ALL if m != "clipped"))
    a = evaluate_log(TARGET, cut(weighted, 1), options, basis=by_time(cut(block, 1)))
    log = cut(type(block).concat(repeated), 1)
    b = evaluate_log(TARGET, log, options, basis=by_time(log))
    for method in options.methods:
        assert a.estimates[method].value == pytest.approx(b.estimates[method].value, abs=1e-12)
        assert a.estimates[method].error == pytest.approx(b.estimates[method].error, abs=1e-12)


def test_replicates_are_those_of_resampled_logs() -> None:
    block = sampled(100, 4)
    options = EvaluationOptions(("wis", "wpdis", "wdr", "dr"), discount=DISCOUNT, replicates=50)
    log = cut(block, 1)
    wrong = TableValues(TARGET.table, values=np.ones((3, 2)))
    found = evaluate_log(TARGET, log, options, basis=None, q=wrong)
    counts = poisson_replicates(block.episode[block.first], 50, 0)
    owner = np.cumsum(block.first) - 1
    for b in (0, 7, 49):
        again = replace(block, weight=counts[owner, b].astype(float))
        once = evaluate_log(
            TARGET,
            cut(again, 1),
            replace(options, replicates=0, interval="normal"),
            basis=None,
            q=wrong,
        )
        for method in options.methods:
            value = once.estimates[method].value
            assert found.estimates[method].replicates[b] == pytest.approx(value, abs=1e-12)


def test_influences_are_derivatives() -> None:
    block = sampled(50, 6)
    log = cut(block, 1)
    found = evaluate_log(TARGET, log, QUICK, basis=by_time(log))
    owner = np.cumsum(block.first) - 1
    squares = dict.fromkeys(ALL, 0.0)
    step, methods = 1e-5, [m for m in ALL if m not in ("dm", "dr", "wdr", "clipped")]
    for i in range(50):
        ends = []
        for sign in (-1, 1):
            weight = 1 + sign * step * (owner == i)
            changed = cut(replace(block, weight=weight), 1)
            ends.append(
                evaluate_log(
                    TARGET, changed, replace(QUICK, methods=tuple(methods)), basis=by_time(log)
                )
            )
        for m in methods:
            slope = (ends[1].estimates[m].value - ends[0].estimates[m].value) / (2 * step)
            squares[m] += (slope * 50) ** 2
    for m in methods:
        expected = np.sqrt(squares[m] / 50 / 49)
        assert found.estimates[m].error == pytest.approx(expected, rel=1e-5), m


def test_poisson_counts() -> None:
    counts = poisson_replicates(np.arange(4000), 101, 3)
    assert counts.shape == (4000, 101)
    assert counts.mean() == pytest.approx(1, abs=0.01)
    assert counts.var() == pytest.approx(1, abs=0.02)
    assert np.array_equal(counts[:, :7], poisson_replicates(np.arange(4000), 7, 3))
    assert abs(np.corrcoef(counts[:, 0], counts[:, 1])[0, 1]) < 0.06


@pytest.mark.parametrize("interval", cases(["percentile", "bca"], ["percentile"]))
@pytest.mark.parametrize("logs", cases([400], [25]))
def test_intervals_cover_the_truth(logs: int, interval: str) -> None:
    truth, methods = (
        true_value(TARGET, 3),
        ("fqe", "is", "wis", "pdis", "wpdis", "dr", "wdr", "mis"),
    )
    options = EvaluationOptions(methods, discount=DISCOUNT, replicates=300, interval=interval)
    covered = dict.fromkeys(methods, 0)
    for i in range(logs):
        log = cut(sampled(300, 1000 + i), 1)
        found = evaluate_log(TARGET, log, options, basis=by_time(log))
        for method, e in found.estimates.items():
            covered[method] += e.low <= truth <= e.high
    shares = {m: n / logs for m, n in covered.items()}
    # 25 logs: at most 5 misses, which has a chance of 0.1 % where the level is held.
    low, high = (0.93, 0.97) if logs > 100 else (0.8, 1.0)
    assert all(low <= s <= high for s in shares.values()), shares


def test_features_of_states_that_are_indicators_are_a_list() -> None:
    block = sampled(300, 8, horizon=2)
    code = np.eye(3)[block.state[:, 0].astype(int)][:, 1:]
    onward = np.eye(3)[np.nan_to_num(block.next_state[:, 0]).astype(int)][:, 1:]
    time = block.step[:, None]
    linear = replace(
        block,
        state=np.hstack([code * (time == 0), code * (time == 1), time]),
        next_state=np.hstack([onward * 0, onward, np.ones((len(block), 1))]),
    )

    class Decoding(TablePolicy):
        def probabilities(self, states: Any) -> Any:
            rows = np.asarray(states)
            return np.asarray(self.table)[
                (rows[:, 0] + rows[:, 2] + 2 * (rows[:, 1] + rows[:, 3])).astype(int)
            ]

    options = replace(QUICK, methods=("fqe",))
    log = cut(block, 1)
    listed = evaluate_log(TARGET, log, options, basis=by_time(log)).estimates["fqe"]
    fitted = evaluate_log(
        Decoding(TARGET.table), cut(linear, 3), options, basis=StateFeatures(5)
    ).estimates["fqe"]
    assert fitted.value == pytest.approx(listed.value, abs=1e-9)
    assert fitted.error == pytest.approx(listed.error, rel=1e-6)


def test_actions_that_the_log_never_takes() -> None:
    full = sampled(400, 9, horizon=1)
    owner = full.action == 0
    log = cut(full.take(owner), 2)
    with pytest.raises(DataError, match="no_overlap"):
        evaluate_log(TARGET, log, QUICK, basis=by_time(log))
    options = replace(QUICK, methods=("is",), unsupported="bound", reward_range=(-3.0, 3.0))
    block = replace(full.take(owner), behavior_prob=np.ones(int(owner.sum())))
    found = evaluate_log(TARGET, cut(block, 2), options, basis=None)
    lost = found.diagnostics["share_lost"]
    assert 0.2 < lost < 0.8
    assert found.bounds is not None
    low, high = found.bounds
    assert high - low == pytest.approx(6 * lost)
    assert low < true_value(TARGET, 1) < high
    assert any("never takes" in w for w in found.warnings)


def test_actions_outside_the_list_are_lost() -> None:
    log = cut(sampled(50, 1), 1)
    other = TablePolicy(np.full((3, 3), 1 / 3), actions=("left", "jump", "right"))
    with pytest.raises(DataError, match="does not list"):
        evaluate_log(other, log, replace(QUICK, methods=("is",)), basis=None)


def test_few_effective_episodes_are_warned_of() -> None:
    log = cut(sampled(60, 10, horizon=12), 1)
    far = TablePolicy(np.array([[0.01, 0.99], [0.99, 0.01], [0.01, 0.99]]))
    found = evaluate_log(far, log, replace(QUICK, methods=("wis",)), basis=None)
    assert found.diagnostics["effective_episodes"] < 30
    assert any("few episodes" in w for w in found.warnings)


def test_bad_probabilities_are_refused() -> None:
    log = cut(sampled(50, 1), 1)
    wrong = TablePolicy(np.full((3, 2), 0.7))
    with pytest.raises(DataError, match="sum to 1"):
        evaluate_log(wrong, log, QUICK, basis=by_time(log))
    (block,) = log.shards[0]
    logged = replace(log, shards=[[replace(block, behavior_prob=np.full(len(block), 0.8))]])
    with pytest.raises(DataError, match=r"sum to 1\.6"):
        evaluate_log(TARGET, logged, replace(QUICK, methods=("fqe",)), basis=by_time(log))


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean"):
        EvaluationOptions(("wiss",))
    with pytest.raises(ConfigurationError, match="discount"):
        EvaluationOptions(discount=1.5)
    with pytest.raises(ConfigurationError, match="needs replicates"):
        EvaluationOptions(replicates=0, interval="bca")
    with pytest.raises(ConfigurationError, match="rewardRange"):
        EvaluationOptions(unsupported="bound")
    log = cut(sampled(10, 1), 1)
    with pytest.raises(ConfigurationError, match="no_propensities"):
        evaluate_log(TARGET, log, QUICK, basis=None, has_propensities=False)


def test_values_without_an_end_are_refused() -> None:
    block = sampled(500, 1)
    then = np.nan_to_num(block.next_state)
    endless = replace(block, terminated=block.terminated & False, has_next=block.terminated | True)
    endless = replace(endless, next_state=then)
    log = cut(endless, 1)
    options = replace(QUICK, methods=("fqe",), discount=1.0)
    with pytest.raises(ConfigurationError, match="not finite"):
        evaluate_log(TARGET, log, options, basis=by_time(log))
    assert log.facts.actions == ACTIONS


def test_probabilities_in_single_precision_lose_nothing() -> None:
    log = cut(sampled(50, 1), 1)
    table = np.array(TARGET.table, np.float32)
    table[0, 0] -= np.float32(2e-7)  # as a softmax of a network sums to almost 1
    options = replace(QUICK, methods=("is",))
    found = evaluate_log(TablePolicy(table), log, options, basis=None)
    assert found.diagnostics["share_lost"] == 0
    exact = evaluate_log(TARGET, log, options, basis=None).estimates["is"].value
    assert found.estimates["is"].value == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("bad", [np.full(50, 0.5), np.ones((50, 1)), np.ones((49, 2)) / 2])
def test_policies_of_another_shape_are_refused(bad: Any) -> None:
    class Wrong(TablePolicy):
        def probabilities(self, states: Any) -> Any:
            return bad

    log = cut(sampled(50, 1, horizon=1), 1)
    with pytest.raises(DataError, match="shape") as caught:
        evaluate_log(Wrong(TARGET.table), log, replace(QUICK, methods=("is",)), basis=None)
    assert caught.value.code == "probability_range"


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="probabilities") as caught:
        evaluate_log(object(), cut(sampled(5, 1), 1), QUICK, basis=None)
    assert caught.value.code == "invalid_param"


def test_a_behavior_that_changes_may_be_sure_of_other_actions() -> None:
    """Each action once in a state, by two behaviors that were each sure: sums above 1 are right."""
    block = sampled(2, 1, horizon=1)
    same = np.repeat(block.state[:1], 2, axis=0)
    block = replace(
        block,
        state=same,
        action=np.array([0, 1], np.int32),
        behavior_prob=np.array([0.9, 0.9]),
    )
    log = cut(block, 1)
    found = evaluate_log(TARGET, log, replace(QUICK, methods=("fqe",)), basis=by_time(log))
    expected = np.asarray(TARGET.table)[int(same[0, 0])] @ block.reward
    assert found.estimates["fqe"].value == pytest.approx(expected)


def test_bounds_hold_for_discounts_of_the_log() -> None:
    """The log's own discounts count, and not the one for logs without."""
    policy = TablePolicy(np.tile([0.25, 0.25, 0.5], (3, 1)), actions=(*ACTIONS, "jump"))
    options = replace(QUICK, methods=("is",), unsupported="bound", reward_range=(0.0, 1.0))
    block = sampled(200, 9)
    ends = []
    for column, discount in ((np.ones(len(block)), 0.5), (None, 1.0)):
        log = cut(replace(block, discount=column), 1)
        found = evaluate_log(policy, log, replace(options, discount=discount), basis=None)
        ends.append(found.bounds)
    assert ends[0] == pytest.approx(ends[1])
