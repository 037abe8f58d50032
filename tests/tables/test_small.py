"""Small tables: what the driver finds out by itself is what Spark's passes find out."""

from __future__ import annotations

import pytest

from sparkml_dist.tables import small
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.small import PlainTable, lines_to_read, plain_table
from sparkml_dist.tables.sniff import sniff
from sparkml_dist.tables.survey import Part
from sparkml_dist.tables.text import TextTable

PATTERN = r"^[0-9]*+(?:;[^\";]*+)*+(?![\s\S])"

VALUES = [
    *("1", "-1.5", "+.5", "1.", "1e5", "1E-300", " 7 ", "1e999", "00012", "1_000", "0x1F", "1f"),
    *(
        "1,5",
        "-,5",
        "1,5e3",
        "1,",
        ",",
        "1.000,5",
        "1,000.5",
        "inf",
        "-inf",
        "+Infinity",
        "INFINITY",
    ),
    *(
        "nan",
        "NaN",
        "-nan",
        "NA",
        "na",
        "null",
        "?",
        "None",
        "N/A",
        "",
        " ",
        "\u00a0",
        "\u00a03\u00a0",
    ),
    *(
        "true",
        "FALSE",
        " True",
        "yes",
        "t",
        "a",
        ":",
        "9a",
        "/",
        "é",
        "٣",
        "1٣",
        "²",
        "İnf",
        "\x0b1",
    ),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "12345678901234567890"),
    *("1234567890123456", "123456789012345", "1.0", "1.00", "1.01", "99999999999999999999.0", "-0"),
    *("-999", "missing", " missing", "\t5", "5\t", "1 2", "--1", "+", ".", "e5", "1e", "1e+", "#"),
]


def _lines(text, file="file:///t.csv"):
    return [{"value": line.encode(), "file": file} for line in text.split("\n")]


def _dialect(text, **options):
    return sniff(
        text.split("\n"), header=True, delimiter=";", missing=(), known_names=(), **options
    )


@pytest.mark.long
def test_each_value_counts_as_in_spark(spark, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(";".join(VALUES))
    names = tuple(f"c{i}" for i in range(len(VALUES)))
    parts = {Part(tuple(range(len(VALUES))), header=False): [f"file://{path}"]}
    text = TextTable(str(path), ";", "", None, names, (), parts, None)
    plain = PlainTable(parts, [VALUES])
    for label in ("", *names[::7]):
        for missing in ((), ("-999", "missing")):
            expected = text.facts(spark, missing, label)
            assert plain.facts(names, missing, label, {}) == expected


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "label"),
    [
        ("a,b,label\n1,x,0\n2,,1\n,y,0\n", "label"),
        ("1,x,good\n2.5,NA,bad\n3,z,good\n", -1),
        ("a\tt\n1\ttrue\n\n2\tFALSE\n \n3\t\n", "t"),
        ("a;b;label\n1;1,5;0\n2;2,5;1\n", "label"),
        ("a,b,label\n1,-999,1.0\n2,5,2.00\n", "label"),
        ("label,a\r\n12345678901234567890,1\r\n12345678901234567891,2\r\n", "label"),
    ],
)
def test_the_same_table_as_by_spark_jobs(spark, tmp_path, monkeypatch, content, label):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    options = {"label": label, "categorical": ["auto"], "missing": ["-999"]}
    alone = read_table(spark, str(path), **options)
    monkeypatch.setattr(small, "SMALL", 0)
    by_jobs = read_table(spark, str(path), **options)
    assert alone.schema == by_jobs.schema
    assert alone.df.schema == by_jobs.df.schema
    assert alone.df.collect() == by_jobs.df.collect()


def test_a_plain_table():
    text = "a;b\n1;x\n\n2;é\n   \n3;"
    found = plain_table(_lines(text, "file:///a%20b.csv"), _dialect(text), PATTERN)
    assert found is not None
    assert found.rows == [["1", "x"], ["2", "é"], ["3", ""]]
    assert found.parts == {Part((0, 1), header=True): ["file:///a b.csv"]}


@pytest.mark.parametrize(
    "text",
    [
        'a;b\n1;"x"\n2;y',
        "a;b\n1;x\na;b\n2;y",
        "a;b\nword;x",
        "a;b",
        "\ufeffa;b\n1;x",
        "a;b\n1;x\n\t\n2;y",
    ],
    ids=["quotes", "a second header", "unfit", "no rows", "mark", "a line of a tab"],
)
def test_doubts_are_left_to_spark(text):
    dialect = _dialect(text.removeprefix("\ufeff"))
    assert plain_table(_lines(text), dialect, PATTERN) is None


def test_two_files_other_bytes_and_no_pattern_are_left_to_spark():
    text = "a;b\n1;x"
    found = _lines(text)
    assert plain_table(found, _dialect(text), PATTERN) is not None
    assert plain_table(found, _dialect(text), None) is None
    assert plain_table([*found, *_lines("2;y", "file:///u.csv")], _dialect(text), PATTERN) is None
    latin = {"value": "2;é".encode("latin-1"), "file": "file:///t.csv"}
    assert plain_table([*found, latin], _dialect(text), PATTERN) is None


def test_only_a_small_file_is_read_as_a_whole(spark, tmp_path):
    (tmp_path / "small.csv").write_text("a\n" * 10)
    (tmp_path / "big.csv").write_text("a" * (small.SMALL + 1))
    (tmp_path / "packed.csv.gz").write_bytes(b"")
    for year in (1, 2):
        (tmp_path / "parts.csv").mkdir(exist_ok=True)
        (tmp_path / "parts.csv" / f"{year}.csv").write_text("a\n")
    counts = {
        name: lines_to_read(spark, str(tmp_path / name), None, 200)
        for name in ("small.csv", "big.csv", "packed.csv.gz", "parts.csv")
    }
    assert counts == dict.fromkeys(counts, 200) | {"small.csv": small.SMALL}
    assert lines_to_read(spark, str(tmp_path / "small.csv"), "cp1252", 200) == 200
