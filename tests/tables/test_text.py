"""Text tables through Spark's reader: how they are written must not change what is read."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, DataError, SparkMLDistError, StorageError
from sparkml_dist.tables import small
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.schema import TableSchema
from sparkml_dist.tables.text import TextTable
from tests.long import cases

AWKWARD = [
    'He said, "hi"',
    'pipe 12" steel',
    "C:\\dir\\",
    "a, b\\",
    'both \\" and ""',
    "a, 'b'",
    ' " ',
    "#1 Noodle Bar",
    "NA",
    " blanks ",
    "über",
    "null",
    "\\",
    '"',
    ',"',
    '\\",',
]


@pytest.fixture(autouse=True)
def _passes_of_spark(monkeypatch):
    """Have small tables read as large ones; test_small.py holds that both read the same."""
    monkeypatch.setattr(small, "SMALL", 0)


@pytest.fixture
def write(tmp_path):
    def writer(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return writer


def column(table, name):
    return sorted(row[0] for row in table.df.select(f"`{name}`").collect())


@pytest.mark.parametrize("delimiter", cases([",", "\t", ";"], [","]))
def test_what_pandas_wrote(spark, tmp_path, delimiter):
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"note": AWKWARD, "x": range(len(AWKWARD)), "label": [0, 1] * 8})
    frame.to_csv(path, index=False, sep=delimiter)
    assert column(read_table(spark, str(path), features=["x"]), "note") == sorted(AWKWARD)
    frame.to_csv(path, index=False, sep=delimiter, quoting=csv.QUOTE_ALL)
    assert column(read_table(spark, str(path), features=["x"]), "note") == sorted(AWKWARD)


@pytest.mark.modes("connect")
def test_what_spark_wrote(spark, tmp_path):
    path = str(tmp_path / "out.csv")
    # Spark itself does not read these two as it writes them.
    texts = [t.strip() for t in AWKWARD if t not in ("\\", '\\",')]
    df = spark.createDataFrame(
        [(t, i, i % 2) for i, t in enumerate(texts)], "n string, x int, y int"
    )
    df.write.csv(path, header=True)
    wanted = sorted(r["n"] for r in spark.read.csv(path, header=True).collect())
    assert column(read_table(spark, path, label="y", features=["x"]), "n") == wanted
    assert wanted == sorted(texts)


@pytest.mark.long
def test_parts_of_several_writers(spark, tmp_path):
    home = tmp_path / "t.csv"
    frame = pd.DataFrame({"n": ['5" pipe, old', "é"], "x": [1, 2], "label": ["a", "b"]})
    spark.createDataFrame(frame).coalesce(1).write.csv(str(home), header=True)
    frame[["label", "n", "x"]].to_csv(home / "pandas, 1 [x].csv", index=False)
    frame.to_csv(home / "latin%201.csv", index=False, encoding="latin-1")
    (home / "empty.csv").write_text("")
    (home / "names.csv").write_text("x,label,n\n")
    table = read_table(spark, str(home), categorical=["n"])
    assert sorted(tuple(r) for r in table.df.collect()) == [
        *[('5" pipe, old', 1.0, "a")] * 3,
        *[("é", 2.0, "b")] * 3,
    ]


def test_parts_of_words_in_another_order(spark, tmp_path):
    home = tmp_path / "t.csv"
    home.mkdir()
    frame = pd.DataFrame(
        {"colour": ["red", "blue"] * 9, "size": ["big", "tiny"] * 9, "label": ["yes", "no"] * 9}
    )
    frame.to_csv(home / "a.csv", index=False)
    frame[["label", "size", "colour"]].to_csv(home / "b.csv", index=False)
    table = read_table(spark, str(home), categorical=["auto"])
    assert table.df.count() == 36
    assert {*column(table, "colour")} == {"red", "blue"}
    assert {*column(table, "label")} == {"yes", "no"}
    frame.rename(columns={"size": "length"}).to_csv(home / "c.csv", index=False)
    with pytest.raises(DataError, match=r"headers_differ.*\.csv.*it lacks '.*'; it has '"):
        read_table(spark, str(home), categorical=["auto"])


@pytest.mark.long
def test_only_the_first_part_has_names_or_all_of_them_in_one_file(spark, write, tmp_path):
    write("t.csv/part-0.csv", "x,label\n" + "1,a\n" * 9)
    write("t.csv/part-1.csv", "2,b\n")
    assert read_table(spark, str(tmp_path / "t.csv")).df.count() == 10
    path = write("joined.csv", "x,label\n1,a\nx,label\n2,b\n")
    assert column(read_table(spark, path), "x") == [1, 2]


@pytest.mark.long
def test_folders_that_name_a_column(spark, tmp_path):
    path = str(tmp_path / "t.csv")
    df = spark.range(30).selectExpr("lpad(id % 3, 2, '0') AS region", "id AS x", "id % 2 AS label")
    df.write.partitionBy("region").csv(path, header=True)
    table = read_table(spark, path, features=["x"])
    assert {*column(table, "region")} == {"00", "01", "02"}
    again = read_table(spark, path, features=["region", "x"])
    assert {*column(again, "region")} == {0, 1, 2}
    pd.DataFrame({"x": [1], "label": [0], "region": [7]}).to_csv(tmp_path / "one.csv", index=False)
    assert read_table(spark, str(tmp_path / "one.csv"), schema_from=again.schema).df.count() == 1
    # Further files of another order lie in folders too.
    (tmp_path / "t.csv" / "region=03").mkdir()
    (tmp_path / "t.csv" / "region=03" / "x.csv").write_text("label,x\n1,8\n")
    found = read_table(spark, path, features=["x"]).df.where("region = '03'").collect()
    assert [row.asDict() for row in found] == [{"x": 8.0, "label": 1, "region": "03"}]


@pytest.mark.long
def test_types_are_those_of_the_whole_column(spark, write):
    rows = "".join(f"{i},{i},a\n" for i in range(5000))
    table = read_table(spark, write("t.csv", f"x,code,label\n{rows}1,x17,b\n"))
    assert dict(table.df.dtypes) == {"x": "double", "code": "string", "label": "string"}
    rows = "".join(f"{i};{i};a\n" for i in range(500))
    table = read_table(spark, write("c.csv", f"x;y;label\n{rows}1,5;2;b\n"))
    assert (table.schema.decimal, column(table, "x")[1:3]) == (",", [1.0, 1.5])
    rows = "".join(f"{i},word,a\n" for i in range(500))
    table = read_table(spark, write("m.csv", f'x,t,label\n{rows}1,"two\n\nlines",b\n'))
    assert "two\n\nlines" in column(table, "t")


NUMBERS = "".join(f"{i},{i}.5,{i % 3}\n" for i in range(300))


LAST = [
    ("1d", "string", "1d"),
    ("2F", "string", "2F"),
    ("0x1p3", "string", "0x1p3"),
    ("word", "string", "word"),
    ("-", "string", "-"),
    ("1\u2028", "string", "1\u2028"),
    ('"1,5"', "string", "1,5"),
    ("", "double", None),
    ('""', "double", None),
    ("  ", "double", None),
    ("?", "double", None),
    ("nan", "double", None),
    ("NaN", "double", None),
    ("Infinity", "double", float("inf")),
    ("-inf", "double", float("-inf")),
    ("1e999", "double", float("inf")),
    ("1e-999", "double", 0.0),
    ("1E300", "double", 1e300),
    (" 7 ", "double", 7.0),
    ("\u00a07", "double", 7.0),
    ('"7"', "double", 7.0),
    ("+.5", "double", 0.5),
]
CORE = ("0x1p3", '"1,5"', "", "nan", "1e-999", "\u00a07")


@pytest.mark.parametrize(
    ("last", "kind", "value"), cases(LAST, [case for case in LAST if case[0] in CORE])
)
def test_the_last_of_many_numbers(spark, write, last, kind, value):
    path = write("t.csv", f"a,b,label\n{NUMBERS}1000,{last},1\n")
    table = read_table(spark, path)
    assert dict(table.df.dtypes) == {"a": "double", "b": kind, "label": "bigint"}
    found = table.df.collect()
    assert len(found) == 301
    assert [row["b"] for row in found if row["a"] == 1000] == [value]


def test_tables_of_numbers_are_recognised_by_their_lines(spark, write, tmp_path, monkeypatch):
    looked = []
    look = TextTable._count_kinds
    monkeypatch.setattr(
        TextTable,
        "_count_kinds",
        lambda self, df, n, *rest: looked.extend(n) or look(self, df, n, *rest),
    )
    files = [
        ("a,b,label\n" + NUMBERS, []),
        (NUMBERS, []),
        (NUMBERS.replace(",", "\t"), []),
        ("a,b,label\n" + NUMBERS.replace(",", ", ").replace("\n", "\r\n"), []),
        ('"a","b","label"\n' + NUMBERS.replace(",", '","').replace("\n", '"\n"') + '1",2,3', []),
        ("a;t;label\n" + '1;"x; ""y""";2.5\n' * 9 + "2;é;.5\n", ["t"]),
    ]
    for i, (text, wanted) in enumerate(files):
        if text.startswith('"a'):
            text = text.replace('"label"\n', '"label"\n"', 1)
        table = read_table(spark, write(f"{i}.csv", text), label=-1)
        assert looked == wanted, text[:60]
        assert {dict(table.df.dtypes)[c] for c in table.features if c != "t"} == {"double"}
        looked.clear()
    path = write("folder.csv/region=7/a.csv", "a,b,label\n" + NUMBERS)
    table = read_table(spark, str(tmp_path / "folder.csv"))
    assert (looked, {*column(table, "region")}) == (["region"], {7.0})
    for options in ({"missing": ["7"]}, {"decimal": ","}, {"types": {"a": "boolean"}}):
        looked.clear()
        try:
            read_table(spark, path, **options)
        except DataError as error:
            assert options.keys() & {"types"} and "298 of 300" not in str(error)
        assert looked
    assert read_table(spark, path, missing=["7"]).df.where("a IS NULL").count() == 1


@pytest.mark.long
def test_rows_among_numbers_that_have_other_fields(spark, write):
    for last in ("1,2", "1,2,3,4", '1,"2,3"', "1"):
        with pytest.raises(DataError, match="ragged_rows.* 1 of 301 rows"):
            read_table(spark, write("t.csv", f"a,b,label\n{NUMBERS}{last}\n"))
    text = "x,note,label\n" + "1,word,1\n" * 300
    with pytest.raises(DataError, match="ragged_rows.* 1 of 301 rows"):
        read_table(spark, write("t.csv", f"{text}1,2\n"))
    found = read_table(spark, write("t.csv", f'{text}2,"two\n1,lines,3",1\n'), features=["x"])
    assert "two\n1,lines,3" in column(found, "note")


@pytest.mark.long
def test_labels_after_many_whole_ones(spark, write):
    for last, kind in (
        ("2.0", "bigint"),
        ("", "bigint"),
        ("9223372036854775807", "bigint"),
        ("2.5", "double"),
        ("12345678901234567890", "string"),
        ("yes", "string"),
    ):
        path = write("t.csv", f"a,b,label\n{NUMBERS}1,2,{last}\n")
        assert dict(read_table(spark, path).df.dtypes)["label"] == kind, last
    text = "x,label\n" + "1,2.5\n" * 300
    assert dict(read_table(spark, write("u.csv", text)).df.dtypes)["label"] == "double"
    text += "1,12345678901234567\n"
    assert dict(read_table(spark, write("u.csv", text)).df.dtypes)["label"] == "string"


def test_a_decimal_comma_below_the_first_lines(spark, write):
    rows = "1;2;a\n" * 300
    table = read_table(spark, write("t.csv", f"x;y;label\n{rows}1,5;2;a\n"))
    assert (table.schema.decimal, max(column(table, "x"))) == (",", 1.5)
    table = read_table(spark, write("t.csv", f"x;y;label\n{rows}1,5;2.5;a\n"))
    assert (table.schema.decimal, dict(table.df.dtypes)["x"]) == (".", "string")


@pytest.mark.long
def test_na_is_namibia_among_words_and_missing_among_numbers(spark, write):
    path = write("t.csv", "land,x,ok,code,label\nNA,NA,true,1,NA\nDE,1,?,NA,null\n,2,false,2,x\n")
    table = read_table(spark, path, categorical=["land", "code"])
    rows = [tuple(r) for r in table.df.orderBy("land").collect()]
    assert rows == [
        (None, 2, False, "2", "x"),
        ("DE", 1, None, None, "null"),
        ("NA", None, True, "1", "NA"),
    ]
    again = read_table(spark, path, schema_from=TableSchema.from_dict(table.schema.to_dict()))
    assert [tuple(r) for r in again.df.orderBy("land").collect()] == rows
    table = read_table(spark, path, categorical=["land", "code"], missing=["NA"])
    assert column(table.__class__(table.df.na.fill("-"), table.schema), "land") == ["-", "-", "DE"]


@pytest.mark.long
def test_columns_without_a_role_are_text_as_it_is_written(spark, write):
    text = (
        "zip,customer,x,when,label\n"
        "00001,900719925474099201,01, 1.50,7\n"
        "00002,900719925474099202,2,NA,7\n"
    )
    table = read_table(spark, write("t.csv", text), features=["x"])
    wanted = [
        ("00001", "900719925474099201", 1.0, " 1.50", 7),
        ("00002", "900719925474099202", 2.0, "NA", 7),
    ]
    assert [tuple(r) for r in table.df.orderBy("zip").collect()] == wanted
    again = read_table(spark, write("u.csv", text), schema_from=table.schema)
    assert [tuple(r) for r in again.df.orderBy("zip").collect()] == wanted


def test_long_labels_stay_apart(spark, write):
    big = [2**53, 2**53 + 1, 2**60 - 1]
    table = read_table(spark, write("t.csv", "x,label\n" + "".join(f"1,{b}\n" for b in big)))
    assert column(table, "label") == big
    huge = ["123456789012345678901", "123456789012345678902"]
    table = read_table(spark, write("u.csv", "x,label\n" + "".join(f"1,{b}\n" for b in huge)))
    assert column(table, "label") == huge


def test_rows_that_begin_with_a_hash(spark, write):
    rows = [f"Shop {i},{i},a" for i in range(400)] + ["#1 Noodle Bar,1,b", "#N/A,2,b"]
    path = write("t.csv", "\n".join(["name,x,label", *rows]) + "\n")
    assert {"#1 Noodle Bar", "#N/A"} <= {*column(read_table(spark, path, features=["x"]), "name")}
    assert read_table(spark, path, features=["x"], comment="#").df.count() == 400
    path = write("u.csv", "\n".join(["# by hand", "name,x,label", *rows]) + "\n")
    with pytest.raises(DataError, match="comments_among_rows.* beginning with '#' .*3 in all"):
        read_table(spark, path, features=["x"])
    assert read_table(spark, path, features=["x"], comment="#").df.count() == 400


def test_encodings(spark, write):
    text = "name,x,label\npâté,1,a\npâtè,2,b\n"
    for encoding in ("latin-1", "utf-8-sig", "windows-1252"):
        path = write("t.csv", text.encode(encoding))
        assert column(read_table(spark, path, features=["x"]), "name") == ["pâtè", "pâté"]
    for encoding in ("utf-16", "cp437"):
        path = write("u.csv", text.encode(encoding))
        found = read_table(spark, path, features=["x"], encoding=encoding)
        assert column(found, "name") == ["pâtè", "pâté"], encoding
    # One stray byte changes no other value.
    path = write("s.csv", text.encode() + "stray €,3,a\n".encode("cp1252") + "größe,4,b\n".encode())
    assert column(read_table(spark, path, features=["x"]), "name") == [
        "größe",
        "pâtè",
        "pâté",
        "stray €",
    ]
    with pytest.raises(DataError, match="wrong_format.*--encoding"):
        read_table(spark, write("w.csv", text.encode("utf-16")))
    for encoding in ("shift_jis", "klingon", "base64"):
        with pytest.raises(ConfigurationError, match="invalid_param"):
            read_table(spark, path, encoding=encoding)


def test_declared_types(spark, write):
    path = write("t.csv", "code;x;ok;label\n01;1,5;true;1\n2;2;false;2\n")
    table = read_table(
        spark,
        path,
        types={"label": "text", 2: "text"},
        text=["co*"],
        categorical=["auto"],
        decimal=",",
    )
    assert table.categorical == ["code", "ok"]
    assert sorted(tuple(r) for r in table.df.collect()) == [
        ("01", 1.5, "true", "1"),
        ("2", 2.0, "false", "2"),
    ]
    with pytest.raises(DataError, match=r"'ok' .* numbers, as declared.* 2 of 2"):
        read_table(spark, path, types={"ok": "number"})
    with pytest.raises(DataError, match="must hold numbers.* 1 of 2 .* '1,5'"):
        read_table(spark, path, types={"x": "number"}, decimal=".")
    with pytest.raises(ConfigurationError, match="invalid_param.*mean 'number'"):
        read_table(spark, path, types={"x": "numbr"})
    with pytest.raises(ConfigurationError, match="invalid_param"):
        read_table(spark, path, comment="//")
    with pytest.raises(ConfigurationError, match="invalid_param"):
        read_table(spark, path, decimal="'")
    with pytest.raises(ConfigurationError, match="option_not_used"):
        read_table(spark, "x.parquet", text=["a"])


def test_true_and_false_are_booleans_among_categories_too(spark, write):
    table = read_table(spark, write("t.csv", "m,label\nTrue,a\nFalse,b\n"), categorical=["m"])
    assert (table.categorical, dict(table.df.dtypes)["m"]) == (["m"], "boolean")


@pytest.mark.long
def test_a_field_of_megabytes(spark, write):
    long = "y" * 3_000_000 + '"'
    path = write("t.csv", f'text,x,label\n"{long.replace(chr(34), chr(34) * 2)}",1,a\nz,2,b\n')
    assert column(read_table(spark, path, features=["x"]), "text") == [long, "z"]


def test_names_of_every_kind(spark, write):
    path = write("t.csv", 'a b,"c, d","e ""f""",ragged,g.h,\'i\'\n1,2,3,4,5,6\n')
    table = read_table(spark, path, label=-1)
    assert table.features == ["a b", "c, d", 'e "f"', "ragged", "g.h"]
    assert tuple(table.df.first()) == (1, 2, 3, 4, 5, 6)


def test_a_file_that_is_not_compressed_as_its_suffix_claims(spark, write):
    with pytest.raises(StorageError, match="is damaged or has the wrong suffix"):
        read_table(spark, write("t.csv.gz", "a,label\n1,2\n"))
    with pytest.raises(DataError, match="has no rows"):
        read_table(spark, write("t.csv.bz2", "a,label\n1,2\n"))


def test_nothing_but_names(spark, write):
    for text in ("a,label\n", "a,label", "\n\na,label\n\n"):
        with pytest.raises(DataError, match="empty_data"):
            read_table(spark, write("t.csv", text))


@pytest.mark.long
def test_another_label_for_a_further_file(spark, write):
    first = read_table(spark, write("a.csv", "x,label\n1,a\n2,b\n"))
    path = write("b.csv", "truth,x,label\nb,1,\na,2,\n")
    assert read_table(spark, path, schema_from=first.schema).label == "label"
    again = read_table(spark, path, label="truth", schema_from=first.schema)
    assert (again.label, again.features) == ("truth", ["x"])


fields = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from('\\",;# '),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=settings().max_examples // 8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(fields, fields), min_size=3, max_size=9), st.sampled_from(",;|\t"))
def test_reading_undoes_writing(spark, tmp_path, rows, delimiter):
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["one", "two", "x", "label"])
        writer.writerows([*row, i, "a"] for i, row in enumerate(rows))
    df = read_table(spark, str(path), features=["x"], delimiter=delimiter, header=True).df
    assert [(r["one"], r["two"]) for r in df.orderBy("x").collect()] == rows


hostile = st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
known = [b"a,b,label", b"1,2,x", b"1,2", b'"', b'"a\n', b"\xff,\xfe,\x80", b"", b"#", b",,"]
known += [b"\t", b"\\", b"NaN,inf,-0", b"1e999,1,y"]


@settings(
    max_examples=settings().max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(known) | hostile, max_size=7))
def test_hostile_tables_are_read_or_refused(spark, tmp_path, lines):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\n".join(lines))
    try:
        table = read_table(spark, str(path), label=-1)
        table.df.collect()
        json.dumps(table.schema.to_dict())
    except SparkMLDistError:
        pass
