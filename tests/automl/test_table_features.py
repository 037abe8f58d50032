"""Features of tables against pandas, on the same rows."""

from __future__ import annotations

import datetime
import itertools
import json
import re
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import murmurhash3_32

import sparkml_dist as sd
from sparkml_dist.automl.hashed_words import HashedText, number_of_words, with_hashed_words
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.errors import SparkMLDistError

N = 120
EPOCH = datetime.date(1970, 1, 1)
WORDS = np.array(["oil", "leak", "found", "near", "the", "old", "pump", "after", "shift", "no"])


def words_of(text):
    return [word for word in re.split(r"[^a-zäöü0-9]+", (text or "").lower()) if word]


def hashed(text, width, ngram=2):
    """The features of a text."""
    words = words_of(text)
    grams = words + ([" ".join(pair) for pair in itertools.pairwise(words)] if ngram > 1 else [])
    counts = np.zeros(width)
    for gram in grams:
        counts[murmurhash3_32(gram, seed=42) % width] += 1
    return counts.tolist()


def frame():
    rng = np.random.default_rng(0)
    day = [EPOCH + datetime.timedelta(days=int(d)) for d in rng.integers(18_000, 19_500, N)]
    time = pd.to_datetime("2024-03-30") + pd.to_timedelta(rng.integers(0, 4 * 86_400, N), unit="s")
    label = rng.integers(0, 3, N)
    return pd.DataFrame(
        {
            "number": np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N)),
            "heavy": np.exp(rng.normal(size=N) * 4),
            "flag": rng.random(N) < 0.5,
            "price": [None if i % 9 == 0 else round(i / 7, 2) for i in range(N)],
            "day": [None if i % 11 == 0 else d for i, d in enumerate(day)],
            "time": [None if i % 13 == 0 else t for i, t in enumerate(time)],
            "site": [None if i % 17 == 0 else f"site {i % 4}" for i in range(N)],
            "note": [
                None if i % 10 == 0 else " ".join(rng.choice(WORDS, 6)) + f", {i}" for i in range(N)
            ],
            "code": [f"x{i:05d}" for i in rng.permutation(N)],
            "row": np.arange(N) + 1000,
            "same": "always",
            "nothing": pd.Series([None] * N, dtype="object"),
            "grade": np.array(["good", "worn", "bad"])[label],
            "tags": [["a", "b"]] * N,
            "vector": [[float(i), 1.0] for i in range(N)],
            "weight": 1.0 + np.arange(N) % 2,
            "label": label,
        }
    )


SCHEMA = (
    "number double, heavy double, flag boolean, price double, day date, time timestamp, "
    "site string, note string, code string, row int, same string, nothing string, grade string, "
    "tags array<string>, vector array<double>, weight double, label int"
)
ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def table(spark):
    rows = frame().astype(object).where(lambda f: f.notna(), None)
    values = [
        tuple(v.tz_localize(ZONE).to_pydatetime() if isinstance(v, pd.Timestamp) else v for v in r)
        for r in rows.itertuples(index=False, name=None)
    ]
    found = spark.createDataFrame(values, SCHEMA)
    return found.withColumn("price", found["price"].cast("decimal(9,2)")).repartition(3).cache()


@pytest.fixture(scope="module")
def model(table):
    return sd.TableFeatures(weightCol="weight", numTextFeatures=8, timeZone=ZONE).fit(table)


def test_every_column_gets_its_role(table, model, tmp_path):
    roles = {column.name: column.role for column in model.columns}
    assert roles == {
        "number": "number",
        "heavy": "number",
        "flag": "number",
        "price": "number",
        "day": "date",
        "time": "timestamp",
        "site": "category",
        "note": "text",
        "vector": "vector",
    }
    assert model.dropped == {
        "tags": "is of type array<string>",
        "code": "identifies rows: nearly all of its values are distinct",
        "row": "numbers the rows",
        "same": "is constant",
        "nothing": "has no values",
        "grade": "is the label under other values",
    }
    assert [c.name for c in model.columns if c.skewed] == ["heavy"]
    assert model.categoricalColumns == ["site"]
    # What transform makes can be partitioned and learnt from.
    made = model.transform(table)
    data = sd.partition(
        made.select("label", *model.featureColumns),
        str(tmp_path / "shards"),
        label="label",
        categorical=model.categoricalColumns,
        shards=2,
    )
    assert data.n_rows == N


def test_dates_texts_and_numbers_are_those_of_pandas(table, model):
    expected = frame().set_index("row")
    found = model.transform(table).toPandas().set_index("row").loc[expected.index]
    day = pd.to_datetime(expected["day"])
    time = expected["time"].dt
    for name, values in {
        "day_year": day.dt.year,
        "day_month": day.dt.month,
        "day_weekday": day.dt.weekday,
        "day_days": (day - day.min()).dt.days,
        "time_month": time.month,
        "time_weekday": time.weekday,
        "time_hour": time.hour,
    }.items():
        np.testing.assert_array_equal(found[name], values.astype(float), err_msg=name)
    # Days count from the first one by the clocks of Greenwich.
    first = time.tz_localize(ZONE).dt.tz_convert("UTC").min().tz_localize(None).floor("D")
    days = (time.floor("D") - first).dt.days + (
        time.hour * 3600 + time.minute * 60 + time.second
    ) / 86_400
    np.testing.assert_allclose(found["time_days"], days, rtol=1e-12)
    assert "time_year" not in found  # the same in all rows
    assert found["note_words"].map(list).tolist() == [hashed(n, 8) for n in expected["note"]]
    counted = [np.nan if n is None else float(len(words_of(n))) for n in expected["note"]]
    np.testing.assert_array_equal(found["note_numWords"], counted)
    assert {*model.dropped} - {"row"} <= set(found)


def test_a_new_zone_changes_nothing_and_new_values_are_taken(spark, table, model):
    before = spark.conf.get("spark.sql.session.timeZone")
    columns = ["row", "time_hour", "time_days", "time_weekday"]
    first = model.transform(table).select(*columns).orderBy("row").collect()
    spark.conf.set("spark.sql.session.timeZone", "Pacific/Auckland")
    try:
        assert model.transform(table).select(*columns).orderBy("row").collect() == first
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    new = table.limit(1).selectExpr(
        "* except (day, note, site)",
        "date'1999-12-31' AS day",
        "'Δοκιμή  TEST_test' AS note",
        "'new' AS site",
    )
    row = model.transform(new).first()
    assert (row.day_year, row.day_month, row.day_weekday) == (1999.0, 12.0, 4.0)
    assert row.day_days < 0 and row.note_numWords == 3.0 and sum(row.note_words) == 5.0


def test_the_model_is_saved(model, table, tmp_path):
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    assert (again.columns, again.dropped, again.alerts) == (
        model.columns,
        model.dropped,
        model.alerts,
    )
    one, two = (m.transform(table).orderBy("row").collect() for m in (model, again))
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["columns"][0].update(role="code"),
        lambda s: s["columns"][4].update(origin="0); drop table x"),
        lambda s: s["columns"][4]["parts"].append("hour(now())"),
        lambda s: s["columns"][7].update(width=-1),
        lambda s: s["columns"][7].update(ngram=9),
        lambda s: s["columns"][7]["outputs"].pop(),
        lambda s: s.update(timeZone="UTC') or true --"),
        lambda s: s.update(columns=[]),
        lambda s: s.update(alerts=[["a"]]),
        lambda s: s.pop("dropped"),
    ],
)
def test_forged_models_are_refused(model, tmp_path, change):
    from sparkml_dist.models.loading import Saved

    state = json.loads(json.dumps(model._state()))
    change(state)

    class Forged(Saved):
        def __init__(self):
            pass

        @property
        def state(self):
            return state

    with pytest.raises((KeyError, TypeError, ValueError)):
        found = type(model)._restore(Forged())
        found._check_restored()


def code(df, **settings):
    with pytest.raises(SparkMLDistError) as caught:
        sd.TableFeatures(**settings).fit(df)
    return caught.value.code


def test_refusals_before_any_job(table):
    df = table.selectExpr("*", "to_binary('00', 'hex') AS bytes")
    assert code(df, labelCol="lable") == "column_not_found"
    assert code(df, keyCol="kee") == "column_not_found"
    assert code(df, featuresCols=["tags"]) == "column_type"
    assert code(df, featuresCols=["number", "bytes"]) == "column_type"
    assert code(df, categoricalCols=["day"]) == "column_type"
    assert code(df, textCols=["number"]) == "column_type"
    assert code(df, textCols=["site"], categoricalCols=["site"]) == "column_twice"
    assert code(df, maxWords=3) == "invalid_param"
    assert code(df, leakAbove=0.1) == "invalid_param"
    assert code(df, timeZone="') --") == "invalid_param"
    assert code(df.selectExpr("*", "1 AS Label"), labelCol="label") == "duplicate_columns"


def test_nothing_is_left(table):
    assert code(table, featuresCols=["same", "row"]) == "no_features"


def test_what_the_user_says_goes(table):
    found = sd.TableFeatures(
        featuresCols=["number", "code", "site", "row"],
        textCols=["site"],
        categoricalCols=["code", "row"],
        numTextFeatures=4,
        maxWords=1,
    ).fit(table)
    assert {c.name: c.role for c in found.columns} == {
        "number": "number",
        "code": "category",
        "site": "text",
        "row": "category",
    }
    row = found.transform(table.where("site = 'site 1'")).first()
    assert list(row.site_words) == hashed("site 1", 4, 1)


def test_other_types_than_at_the_fit(table, model):
    for change in ("cast(day AS timestamp) AS day", "cast(number AS string) AS number"):
        name = change.rpartition(" ")[2]
        with pytest.raises(SparkMLDistError) as caught:
            model.transform(table.selectExpr(f"* except ({name})", change))
        assert caught.value.code == "column_type" and name in caught.value.message
    with pytest.raises(SparkMLDistError) as caught:
        model.transform(table.drop("note"))
    assert caught.value.code == "column_not_found"


def test_taken_names_and_odd_ones(spark):
    df = spark.createDataFrame(
        [(EPOCH + datetime.timedelta(days=i * 20), float(i), i % 2) for i in range(30)],
        "`d.a``y` date, `D.a``y_month` double, label int",
    )
    model = sd.TableFeatures().fit(df)
    assert "d.a`y_month_" in model.featureColumns and "D.a`y_month" in model.featureColumns
    made = model.transform(model.transform(df))
    assert len(made.columns) == len(set(made.columns)) == 7
    assert made.count() == 30


def test_leaks_and_labels_get_alerts(spark):
    rng = np.random.default_rng(0)
    y = (np.arange(400) < 5).astype(int)
    rows = pd.DataFrame({"x": rng.normal(size=400), "leak": y + rng.normal(size=400) / 20, "y": y})
    rows.loc[rows.y == 1, "leak"] = 3.0 + np.arange(5)
    rows["half"] = np.where(np.arange(400) < 200, rows.x > 0, ~(rows.x > 0)).astype(int)
    rows["y2"] = (rows.x > 0).astype(int)
    df = spark.createDataFrame(rows)
    found = sd.TableFeatures(labelCol="y", featuresCols=["x", "leak"]).fit(df)
    assert ("y", "its rarest value 1 has 5 of 400 rows") in found.alerts
    found = sd.TableFeatures(labelCol="y2", featuresCols=["x", "half"]).fit(df)
    assert [name for name, what in found.alerts if what.startswith("may leak")] == ["x"]
    assert not found.dropped


def test_a_number_that_is_the_label(spark):
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    rows = pd.DataFrame({"copy": y, "double": 2 * y, "x": rng.normal(size=200), "y": y})
    found = sd.TableFeatures(labelCol="y").fit(spark.createDataFrame(rows))
    assert found.dropped == {"copy": "is the label under other values"}
    assert [name for name, what in found.alerts if what.startswith("may leak")] == ["double"]


TEXTS = st.text(alphabet="abzäöüÄZ09 ,.-_'\n\t\\\"%$", max_size=40) | st.none()
TIMES = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))


@settings(
    max_examples=settings().max_examples // 6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(texts=st.lists(TEXTS, min_size=20, max_size=60), width=st.integers(1, 100))
def test_words_of_any_text(spark, texts, width):
    df = spark.createDataFrame([(i, t) for i, t in enumerate(texts)], "i int, t string")
    df = df.selectExpr("*", f"{number_of_words('t')} AS n")
    made, columns = with_hashed_words(df, [HashedText("t", width, n) for n in (1, 2)], "made")
    named = [column.alias(name) for column, name in zip(columns, ("one", "two"))]
    for row in made.select("i", "n", *named).collect():
        t = texts[row.i]
        assert list(row.two) == hashed(t, width) and list(row.one) == hashed(t, width, 1)
        assert row.n == (None if t is None else len(words_of(t)))


@settings(
    max_examples=settings().max_examples // 6,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    times=st.lists(TIMES, min_size=20, max_size=60),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_parts_of_any_time(spark, times, zone):
    parts = ("year", "month", "weekday", "hour", "days")
    outputs = tuple(f"t_{part}" for part in parts)
    plan = TableColumn("t", "timestamp", outputs, parts, origin=100)
    utc = datetime.UTC
    instants = [(i, int(t.replace(tzinfo=utc).timestamp() * 10**6)) for i, t in enumerate(times)]
    df = spark.createDataFrame(instants, "i int, us long")
    for kind in ("timestamp", "timestamp_ntz"):
        made = df.selectExpr("i", "timestamp_micros(us) AS t")
        if kind == "timestamp_ntz":
            made = df.selectExpr(
                "i", "timestamp_ntz'1970-01-01' + make_dt_interval(0, 0, 0, us / 1000000) AS t"
            )
        columns = plan.columns(made.schema["t"].dataType, zone)
        rows = made.select("i", *[c.alias(n) for n, c in columns.items()]).collect()
        for row in rows:
            local = times[row.i]
            if kind == "timestamp":
                local = local.replace(tzinfo=utc).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            days = (local.date() - EPOCH).days - 100
            seconds = (local - datetime.datetime.combine(local.date(), datetime.time())).seconds
            expected = (local.year, local.month, local.weekday(), local.hour)
            assert tuple(row)[1:5] == expected
            assert row.t_days == pytest.approx(days + seconds / 86_400, abs=1e-9)


@pytest.mark.modes("connect")
def test_a_pipeline_from_a_table_to_a_model(spark, table):
    """The features of another table are made in the same way."""
    features = sd.TableFeatures(featuresCols=["number", "day", "site", "note"], numTextFeatures=4)
    model = features.fit(table)
    made = model.transform(table)
    bags = sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=3),
        numMembers=2,
        numShards=2,
        featuresCols=model.featureColumns,
        categoricalCols=model.categoricalColumns,
    ).fit(made)
    predicted = bags.transform(model.transform(table.drop("label")))
    assert predicted.where("prediction is not null").count() == N
