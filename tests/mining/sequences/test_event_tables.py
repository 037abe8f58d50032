"""Windows, sessions and sequences of an event table against plain Python."""

from __future__ import annotations

import datetime as dt
import math
import random

import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import event_sequences, windowed_baskets

START = dt.datetime(2026, 1, 1)


@pytest.fixture(scope="module")
def events():
    rng = random.Random(2)
    return [
        (rng.choice(["u", "v"]), float(rng.randint(-20, 40)) / 2, rng.choice("abcd"))
        for _ in range(60)
    ]


@pytest.fixture(scope="module")
def numeric(spark, events):
    odd = [(None, 1.0, "a"), ("u", None, "a"), ("u", 1.0, None)]
    return spark.createDataFrame([*events, *odd], "user string, at double, item string").persist()


@pytest.fixture(scope="module")
def stamped(spark, events):
    rows = [(e, START + dt.timedelta(minutes=t), i) for e, t, i in events]
    return spark.createDataFrame(rows, "user string, at timestamp, item string").persist()


COLUMNS = {"entity": "user", "time": "at", "item": "item"}


def as_dict(baskets, minutes=False) -> dict:
    def number(t):
        return (t - START).total_seconds() / 60 if minutes else t

    rows = baskets.collect()
    found = {(r.user, number(r.start), number(r.end)): r["items"] for r in rows}
    assert len(found) == len(rows)
    return found


def windows(events, length, slide) -> dict:
    found: dict = {}
    for entity, time, item in events:
        start = math.floor(time / slide) * slide
        while start + length > time:
            found.setdefault((entity, start, start + length), set()).add(item)
            start -= slide
    return {key: sorted(items) for key, items in found.items()}


def sessions(events, gap) -> dict:
    found: dict = {}
    for entity in {e for e, _, _ in events}:
        current: list = []
        for time, item in sorted((t, i) for e, t, i in events if e == entity):
            if current and time > current[-1][0] + gap:
                close(found, entity, current, gap)
                current = []
            current.append((time, item))
        close(found, entity, current, gap)
    return found


def close(found, entity, current, gap) -> None:
    key = (entity, current[0][0], current[-1][0] + gap)
    found[key] = sorted({item for _, item in current})


@pytest.mark.modes
@pytest.mark.parametrize(("length", "slide"), [(4.0, None), (5.0, 2.0)])
def test_windows(numeric, stamped, events, length, slide):
    expected = windows(events, length, slide or length)
    assert as_dict(windowed_baskets(numeric, **COLUMNS, window=length, slide=slide)) == expected
    spans = {"window": f"{length:g} minutes", "slide": f"{slide:g} minutes" if slide else None}
    if slide is None:  # windows of timestamps begin at multiples since 1970
        assert as_dict(windowed_baskets(stamped, **COLUMNS, **spans), minutes=True) == expected
    else:
        assert windowed_baskets(stamped, **COLUMNS, **spans).count() > 0


@pytest.mark.modes
def test_sessions(numeric, stamped, events):
    expected = sessions(events, 1.0)
    assert as_dict(windowed_baskets(numeric, **COLUMNS, session_gap=1.0)) == expected
    of_stamps = windowed_baskets(stamped, **COLUMNS, session_gap="1 minute")
    assert as_dict(of_stamps, minutes=True) == expected


def test_sequences(numeric, events):
    found = {r.user: r for r in event_sequences(numeric, **COLUMNS).collect()}
    for entity in ("u", "v"):
        times = sorted({t for e, t, _ in events if e == entity})
        assert found[entity].times == times
        assert found[entity].sequence == [
            sorted({i for e, t, i in events if (e, t) == (entity, time)}) for time in times
        ]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ({}, "either window"),
        ({"window": 1.0, "session_gap": 1.0}, "either window"),
        ({"session_gap": 1.0, "slide": 1.0}, "either window"),
        ({"window": 0.0}, "must be a positive number"),
        ({"window": "1 day"}, "must be a positive number"),
        ({"window": 1.0, "slide": 2.0}, r"slide must be at most the window \(1.0\)"),
        ({"session_gap": math.nan}, "must be a positive number"),
    ],
)
def test_spans_that_make_no_sense(numeric, spans, message):
    with pytest.raises(ConfigurationError, match=message):
        windowed_baskets(numeric, **COLUMNS, **spans)


def test_columns(numeric, stamped):
    with pytest.raises(ConfigurationError, match="an interval like"):
        windowed_baskets(stamped, **COLUMNS, window=3.0)
    with pytest.raises(DataError, match="Did you mean 'user'"):
        windowed_baskets(numeric, **{**COLUMNS, "entity": "users"}, window=1.0)
    for function, spans in ((windowed_baskets, {"window": 1.0}), (event_sequences, {})):
        with pytest.raises(DataError, match="must be a timestamp, a date or a number"):
            function(numeric, **{**COLUMNS, "time": "item"}, **spans)
