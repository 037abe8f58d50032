"""Days are days, whatever the session's zone does to its clocks."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

import sparkml_dist as sd
from sparkml_dist.mining.sequences.event_times import seconds_of
from tests.long import cases

DAYS = [dt.date(2018, 11, 2) + dt.timedelta(days=i) for i in range(5)]
MARCH = [dt.date(2024, 3, 29) + dt.timedelta(days=i) for i in range(5)]


# Clocks of London go forward at one in the night, those of São Paulo (in 2018) and Beirut at
# midnight, which that day has not.
ZONES = ["Europe/London", "America/Sao_Paulo", "Asia/Beirut", "UTC"]


@pytest.fixture(params=cases(ZONES, ["America/Sao_Paulo"]))
def zone(spark, request):
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", request.param)
    yield request.param
    spark.conf.set("spark.sql.session.timeZone", before)


@pytest.mark.parametrize("kind", ["date", "timestamp_ntz"])
def test_days_of_dates_and_of_times_without_a_zone(spark, zone, kind):
    days = [*DAYS, *MARCH]
    rows = [("ann", str(d), f"item{i}") for i, d in enumerate(days)]
    events = spark.createDataFrame(rows, "who string, day string, item string")
    events = events.withColumn("day", events.day.cast(kind))
    names = {"entity": "who", "time": "day", "item": "item"}
    daily = sd.windowed_baskets(events, **names, window="1 day").orderBy("start").collect()
    assert [r["items"] for r in daily] == [[f"item{i}"] for i in range(10)]
    assert [r["start"].date() for r in daily] == days
    assert {r["end"] - r["start"] for r in daily} == {dt.timedelta(days=1)}
    sessions = sd.windowed_baskets(events, **names, session_gap="25 hours").collect()
    assert sorted(len(r["items"]) for r in sessions) == [5, 5]
    sequences = sd.event_sequences(events, **names)
    found = sequences.select("times").first()["times"]
    assert len(found) == 10
    times = sequences.schema["times"].dataType.elementType
    spark_seconds = sequences.selectExpr("explode(times) AS t")
    seconds = [r[0] for r in spark_seconds.select(seconds_of(times)(spark_seconds.t)).collect()]
    assert {b - a for a, b in pairwise(seconds)} >= {86400.0}
    assert seconds == [(d - dt.date(1970, 1, 1)).days * 86400.0 for d in days]


@pytest.mark.long
def test_gaps_of_patterns_count_days(spark, zone):
    rows = [("ann", str(d), "abcde"[i]) for i, d in enumerate(MARCH)]
    events = spark.createDataFrame(rows, "who string, day string, item string")
    events = events.withColumn("day", events.day.cast("date"))
    sequences = sd.event_sequences(events, entity="who", time="day", item="item")
    found = sd.SequentialPatterns(
        minCount=1, timesCol="times", minGap=86400.0, maxGap=86400.0, maxLength=2
    ).fit(sequences)
    pairs = [r for r in found.patterns.collect() if len(r["sequence"]) == 2]
    assert len(pairs) == 4


@pytest.mark.modes
def test_a_clock_with_seconds(spark):
    df = spark.sql(
        "SELECT timestamp_ntz'1969-12-31 23:59:58.25' t, timestamp'1970-01-01 00:00:00Z' u"
    )
    t, u = (seconds_of(df.schema[c].dataType)(df[c]) for c in "tu")
    assert list(df.select(t, u).first()) == [-1.75, 0.0]
