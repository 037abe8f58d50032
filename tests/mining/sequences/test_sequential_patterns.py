"""Sequential patterns in Spark: against brute force, MLlib, and themselves cut otherwise."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import SequentialPatterns, SequentialPatternsModel
from sparkml_dist.mining.sequences.limits import Limits
from sparkml_dist.mining.sequences.pattern_growth import Pattern
from sparkml_dist.mining.sequences.search_space import Prefix, parts_of
from tests.mining.sequences.oracle import closed_only, frequent_sequences, patterns_of

ITEMS = "abcde"


def drawn(seed: int, n: int = 40):
    """Sequences of (time, items), gaps of one to three."""
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        time, sequence = 0.0, []
        for _ in range(rng.randint(1, 5)):
            time += rng.randint(1, 3)
            items = set(rng.sample(ITEMS, rng.randint(1, 2)))
            # Who holds d holds e as well: patterns of d alone are not closed.
            sequence.append((time, items | {"e"} if "d" in items else items))
        found.append(sequence)
    return found


@pytest.fixture(scope="module")
def sequences():
    return drawn(4)


@pytest.fixture(scope="module")
def frame(spark, sequences):
    rows = [([list(items) for _, items in s], [time for time, _ in s]) for s in sequences]
    # Nulls in events, empty events and whole sequences that are null change nothing.
    rows[0] = ([[*rows[0][0][0], None, rows[0][0][0][0]], *rows[0][0][1:]], rows[0][1])
    schema = "sequence array<array<string>>, times array<double>"
    return spark.createDataFrame([*rows, (None, None)], schema).repartition(3).persist()


def as_dict(patterns) -> dict:
    return counts_of(patterns.collect())


def counts_of(rows) -> dict:
    found = {tuple(tuple(e) for e in _ordered(r["sequence"])): r["count"] for r in rows}
    assert len(found) == len(rows)
    return found


def _ordered(pattern):
    return [sorted(element) for element in pattern]


# In the other modes: the next test, and `tests/test_contract.py`.
@pytest.mark.parametrize(
    ("limits", "target"),
    [
        (Limits(max_length=4), "frequent"),
        pytest.param(
            Limits(max_length=4, min_gap=2.0, max_span=4.0), "closed", marks=pytest.mark.long
        ),
        (Limits(max_length=4, max_gap=2.0), "closed"),
    ],
)
def test_patterns_are_those_of_brute_force(frame, sequences, limits, target):
    model = SequentialPatterns(
        minCount=6,
        maxLength=limits.max_length,
        minGap=limits.min_gap,
        maxGap=limits.max_gap,
        maxSpan=limits.max_span,
        timesCol="times",
        target=target,
    ).fit(frame)
    expected = frequent_sequences(sequences, 6, limits)
    if target == "closed":
        everything, expected = expected, closed_only(expected)
        assert len(expected) < len(everything)
    patterns = model.patterns.collect()
    assert counts_of(patterns) == expected
    assert model.numSequences == len(sequences)
    assert all(r.support == r["count"] / len(sequences) for r in patterns)
    # A sequence holds what it holds within the limits: brute force finds what.
    rows = model.transform(frame).collect()
    found = [r for r in rows if r.times is not None]
    assert len(found) == len(sequences)
    for r in found:
        own = [(t, {i for i in e if i}) for t, e in zip(r.times, r.sequence, strict=True)]
        held = sum(n for p, n in expected.items() if p in patterns_of(own, limits))
        assert r.prediction == pytest.approx(held / len(sequences) / len(expected))
    assert [r.prediction for r in rows if r.times is None] == [0.0]


@pytest.mark.modes("local-cluster")
def test_prefixes_that_do_not_fit_a_task_are_extended(frame, sequences):
    model = SequentialPatterns(minCount=8, maxLength=3, memoryPerTask="8k").fit(frame)
    positions = [[(float(i), items) for i, (_, items) in enumerate(s)] for s in sequences]
    assert as_dict(model.patterns) == frequent_sequences(positions, 8, Limits(max_length=3))


def test_without_limits_they_are_mllibs(spark, frame):
    from pyspark.ml.fpm import PrefixSpan

    clean = frame.selectExpr(
        "transform(sequence, e -> array_distinct(array_compact(e))) AS sequence"
    ).where("sequence IS NOT NULL")
    peer = PrefixSpan(minSupport=0.2, maxPatternLength=4).findFrequentSequentialPatterns(clean)
    expected = {tuple(tuple(sorted(e)) for e in r["sequence"]): r["freq"] for r in peer.collect()}
    assert as_dict(SequentialPatterns(minSupport=0.2, maxLength=4).fit(frame).patterns) == expected


def test_an_array_of_items_has_one_item_per_event(spark):
    frame = spark.createDataFrame([([1, 2, 1],), ([1, 1],), ([2],)], "sequence array<int>")
    found = SequentialPatterns(minCount=2).fit(frame).patterns
    assert as_dict(found) == {((1,),): 2, ((2,),): 2, ((1,), (1,)): 2}


def test_gaps_between_timestamps_are_in_seconds(spark):
    start = dt.datetime(2026, 1, 1)
    times = [start, start + dt.timedelta(minutes=1), start + dt.timedelta(hours=5)]
    frame = spark.createDataFrame(
        [(["a", "b", "c"], times)], "sequence array<string>, times array<timestamp>"
    )
    model = SequentialPatterns(minSupport=1.0, timesCol="times", maxGap=90.0).fit(frame)
    pairs = {p for p in as_dict(model.patterns) if len(p) == 2}
    assert pairs == {(("a",), ("b",))}


def test_nothing_frequent_gives_no_rows_and_a_model_that_can_be_saved(spark, frame, tmp_path):
    model = SequentialPatterns(minCount=1000).fit(frame)
    assert model.patterns.count() == 0
    assert model.patterns.schema["sequence"].dataType.simpleString() == "array<array<string>>"
    model.save(str(tmp_path / "model"))
    loaded = SequentialPatternsModel.load(str(tmp_path / "model"))
    assert loaded.patterns.count() == 0
    assert loaded.numSequences == model.numSequences


def test_parts_keep_to_the_budget():
    rng = random.Random(0)
    prefixes: dict[Pattern, Prefix] = {((i,),): Prefix(1, rng.randint(1, 130)) for i in range(300)}
    parts, large = parts_of(prefixes, total=10_000, budget=100, n_parts=8)
    assert set(large) == {p for p, known in prefixes.items() if known.events > 100}
    assert parts.keys() | set(large) == prefixes.keys()
    loads: dict[int, int] = {}
    for prefix, part in parts.items():
        loads[part] = loads.get(part, 0) + prefixes[prefix].events
    assert max(loads.values()) <= 100
    assert parts_of(prefixes, total=90, budget=100, n_parts=8)[1] == []


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"minSupport": 0.0}, r"minSupport must be in \(0, 1\]"),
            ({"minSupport": 1.1}, r"minSupport must be in \(0, 1\]"),
            ({"maxLength": 0}, "maxLength must be at least 1"),
            ({"maxPatterns": 0}, "maxPatterns must be at least 1"),
            ({"target": "close"}, "Did you mean 'closed'"),
            ({"maxGap": -1.0}, "maxGap must be at least 0"),
            ({"minGap": 3.0, "maxSpan": 2.0}, "maxSpan .* is less than minGap"),
            ({"memoryPerTask": "much"}, "memoryPerTask must be a positive"),
        ],
    )
    def test_params(self, frame, params, message):
        with pytest.raises(ConfigurationError, match=message):
            SequentialPatterns(**params).fit(frame)

    def test_a_support_so_low_that_there_is_no_end(self, frame):
        known = SequentialPatterns(minCount=4, maxLength=3)
        number = known.fit(frame).patterns.count()
        for most in (number - 1, 3):  # over all parts, and within one
            with pytest.raises(Exception, match=f"more than {most} sequential patterns"):
                known.copy({known.maxPatterns: most}).fit(frame)

    @pytest.mark.parametrize(
        "times", [[1.0], [2.0, 1.0], [1.0, 1.0], [1.0, None], [1.0, float("nan")], None]
    )
    def test_times(self, spark, times):
        frame = spark.createDataFrame(
            [(["a", "b"], times)], "sequence array<string>, times array<double>"
        )
        with pytest.raises(DataError, match="bad_times"):
            SequentialPatterns(timesCol="times").fit(frame)

    def test_columns(self, frame):
        with pytest.raises(DataError, match="Did you mean 'sequence'"):
            SequentialPatterns(sequenceCol="sequences").fit(frame)
        with pytest.raises(DataError, match="must be an array of events"):
            SequentialPatterns(sequenceCol="n").fit(frame.selectExpr("1 AS n"))
        with pytest.raises(DataError, match="must be an array of numbers"):
            SequentialPatterns(timesCol="sequence").fit(frame)
        with pytest.raises(DataError, match="empty_data"):
            SequentialPatterns().fit(frame.where("sequence IS NULL"))
