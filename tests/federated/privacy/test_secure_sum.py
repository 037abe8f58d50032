"""Secure sums: those of the integers, whoever drops out; and what silos refuse."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, SparkMLDistError, TrainingError
from sparkml_dist.federated import Federation, SiloPolicy
from sparkml_dist.federated.privacy import SecureSum
from sparkml_dist.federated.privacy.fixed_point import FixedPoint
from sparkml_dist.federated.privacy.key_stream import add_streams
from sparkml_dist.federated.privacy.shamir import join, split
from sparkml_dist.federated.privacy.silo_side import SiloSide
from sparkml_dist.federated.privacy.sum_terms import SumTerms

NAMES = [f"silo{i}" for i in range(6)]


def federation(rows=None, alter=None, **more):
    counts = rows or {name: i + 1 for i, name in enumerate(NAMES)}
    silos = {name: (np.ones((n, 2)), [0] + [1] * (n - 1)) for name, n in counts.items()}
    return Federation.in_memory(silos, alter=alter, classes=[0, 1], **more)


def dies_in(kind):
    def alter(answer, request):
        if request.kind == kind:
            raise OSError("gone")
        return answer

    return alter


def counted(found, **more):
    secure = SecureSum(threshold=4, bits=64)
    return found.sum("rows", secure=secure, ranges={"class_rows": 100, "rows": 100}, **more)


@settings(max_examples=12)
@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(["secure_keys", "secure_shares", "secure_masked", "secure_unmask"]),
        max_size=2,
    )
)
def test_it_is_the_sum_of_those_whose_words_arrived(gone):
    found = counted(federation(alter={name: dies_in(kind) for name, kind in gone.items()}))
    inside = [n for n in NAMES if gone.get(n, "secure_unmask") == "secure_unmask"]
    assert sorted(found.silos) == inside
    # Fixed point of 64 bits holds these counts to 1e-14.
    expected = sum(NAMES.index(n) + 1 for n in inside)
    assert found.arrays["rows"] == pytest.approx([expected], abs=1e-9)
    assert found.arrays["class_rows"].sum() == pytest.approx(expected, abs=1e-9)


def test_below_the_threshold_nothing_is_opened():
    gone = {name: dies_in("secure_unmask") for name in NAMES[:3]}
    with pytest.raises(TrainingError) as caught:
        counted(federation(alter=gone))
    assert caught.value.code in ("too_few_silos", "secure_sum_forged")


def test_nothing_wraps_around():
    with pytest.raises(SparkMLDistError) as caught:
        federation().sum("rows", secure=SecureSum(4), ranges={"rows": 3, "class_rows": 3})
    assert caught.value.code == "too_few_silos"  # three of six have more than three rows
    with pytest.raises(ConfigurationError):
        SecureSum(threshold=2).threshold_of(6)


def test_forged_shares_are_found_out_while_enough_others_are_right():
    def forges(answer, request):
        if request.kind == "secure_unmask":
            answer.arrays["shares"][:] = 7
        return answer

    found = counted(federation(alter={NAMES[0]: forges}))
    assert found.arrays["rows"] == pytest.approx([21.0], abs=1e-9)
    with pytest.raises(TrainingError):
        counted(federation(alter=dict.fromkeys(NAMES[:4], forges)))


def test_a_silo_answers_in_secure_sums_only_where_its_owner_says_so():
    policy = SiloPolicy(secure_only=True, least_silos=5)
    careful = federation(policy=policy)
    with pytest.raises(SparkMLDistError):
        careful.sum("rows")
    with pytest.raises(SparkMLDistError):  # the threshold is below the silo's
        counted(federation(policy=policy))
    secure = SecureSum(threshold=5, bits=64)
    ranges = {"class_rows": 100, "rows": 100}
    found = federation(policy=policy).sum("rows", secure=secure, ranges=ranges)
    assert found.arrays["rows"] == pytest.approx([21.0], abs=1e-9)


def test_the_coordinator_sees_words_that_tell_nothing_of_one_silo():
    seen = []

    def watched(answer, request):
        if request.kind == "secure_masked":
            seen.append(np.array(answer.arrays["words"]))
        return answer

    for _ in range(8):
        counted(federation(alter={NAMES[0]: watched}))
    words = np.concatenate([w.ravel() for w in seen]).astype(np.float64) / 2.0**64
    # Uniform words: the mean of 24 has a deviation of .06; small counts would all be near 0 or 1.
    assert len(set(words)) == len(words) and 0.25 < words.mean() < 0.75


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 6), st.randoms())
def test_any_threshold_of_the_shares_gives_the_secret(secret, threshold, rng):
    shares = list(enumerate(split(secret, threshold, 6, secrets.randbelow), 1))
    assert join(dict(rng.sample(shares, threshold))) == secret
    assert join(dict(rng.sample(shares, threshold - 1))) != secret


def test_integers_of_either_size_have_a_range_of_their_own():
    for bits in (32, 64):
        for parties in range(1, 50):
            FixedPoint.of({"n": ("i8", (1,))}, {}, bits, parties)


def test_masks_of_a_pair_cancel():
    words = np.arange(1000, dtype=np.uint64)
    masked = words.copy()
    add_streams(masked, [(b"k" * 32, 1)])
    assert (masked != words).mean() > 0.99
    add_streams(masked, [(b"k" * 32, -1)])
    assert np.array_equal(masked, words)


def test_a_coordinator_that_asks_one_silo_for_something_else_reads_nothing(monkeypatch):
    plain = SecureSum._own

    def asks_otherwise(facts, own, inbox):
        found, arrays = plain(facts, own, inbox)
        calls.append(inbox)
        return ({"facts": {**facts, "more": 1}} if len(calls) == 1 else found), arrays

    calls: list = []
    assert counted(federation()).arrays["rows"] == pytest.approx([21.0])
    monkeypatch.setattr(SecureSum, "_own", staticmethod(asks_otherwise))
    found = counted(federation())
    # All answered, and their masks did not cancel: words that say nothing.
    assert len(found.silos) == 6 and not np.allclose(found.arrays["rows"], 21.0, atol=1e-3)


def sides(terms, names=NAMES[:4]):
    made = {name: SiloSide(name, terms) for name in names}
    roster = {name: side.advertise() for name, side in made.items()}
    return made, roster


def masked(made, roster):
    sealed = {name: side.share(roster)[0] for name, side in made.items()}
    for name, side in made.items():
        side.mask({other: sealed[other][name] for other in made}, np.zeros(3, np.uint64), "asked")


def refusal(act, *given):
    with pytest.raises(TrainingError) as caught:
        act(*given)
    return caught.value.code


def test_a_silo_gives_the_coordinator_no_way_to_its_own_words():
    terms = SumTerms("a", 3, 64)
    made, roster = sides(terms)
    one = made[NAMES[0]]
    assert refusal(one.unmask, NAMES[:3]) == "secure_sum_refused"  # before it has sent words
    twins = {**roster, NAMES[1]: roster[NAMES[2]]}
    assert refusal(one.share, twins) == "secure_sum_forged"
    assert refusal(one.share, {n: roster[n] for n in NAMES[:2]}) == "secure_sum_refused"
    masked(made, roster)
    for alone in (NAMES[:1], NAMES[:2]):
        assert refusal(one.unmask, alone) == "secure_sum_refused"
    first = one.unmask(NAMES[:3])
    assert one.unmask(NAMES[:3]) == first  # asked again, the same bytes
    assert refusal(one.unmask, NAMES[:4]) == "secure_sum_refused"  # both shares of the fourth
    assert refusal(one.mask, {}, np.ones(3, np.uint64)) == "secure_sum_forged"
    resumed = SiloSide(NAMES[0], terms, one.record)
    assert refusal(resumed.unmask, NAMES[1:4]) == "secure_sum_forged"
    half, keys = sides(SumTerms("b", 2, 64))
    assert refusal(half[NAMES[0]].share, keys) == "secure_sum_refused"


def test_shares_of_an_earlier_sum_are_not_taken():
    earlier, roster = sides(SumTerms("a", 3, 64))
    old = {name: side.share(roster)[0] for name, side in earlier.items()}
    made, roster = sides(SumTerms("b", 3, 64))
    sealed = {name: side.share(roster)[0] for name, side in made.items()}
    inbox = {other: sealed[other][NAMES[0]] for other in made}
    inbox[NAMES[1]] = old[NAMES[1]][NAMES[0]]
    words = np.zeros(3, np.uint64)
    assert refusal(made[NAMES[0]].mask, inbox, words, "asked") == "secure_sum_forged"
    assert not words.any()
