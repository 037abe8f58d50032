"""Tables read through Spark: types, roles, further files, errors."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkml_dist.errors import ConfigurationError, DataError, SparkMLDistError, StorageError
from sparkml_dist.tables.lines import format_of
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.schema import TableSchema
from tests.long import cases

PEOPLE = (
    '"age";"job title";"pays tax";"income";"class"\n'
    '25;"clerk; junior";true;1000,5;">50K"\n'
    '?;"cook";False;NA;"<=50K"\n'
    '47;"";TRUE;2000,25;"<=50K"\n'
)


@pytest.fixture
def write(tmp_path):
    def writer(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(path)

    return writer


def code_of(function, *args, **kwargs):
    with pytest.raises(SparkMLDistError) as caught:
        function(*args, **kwargs)
    return caught.value.code, str(caught.value)


@pytest.mark.modes("connect")
def test_a_table_as_it_comes(spark, write):
    table = read_table(spark, write("people.csv", PEOPLE), label="class", categorical=["job*"])
    assert table.label == "class"
    assert table.features == ["age", "job title", "pays tax", "income"]
    assert table.categorical == ["job title"]
    assert [t for _, t in table.df.dtypes] == ["double", "string", "boolean", "double", "string"]
    assert [tuple(row) for row in table.df.collect()] == [
        (25.0, "clerk; junior", True, 1000.5, ">50K"),
        (None, "cook", False, None, "<=50K"),
        (47.0, None, True, 2000.25, "<=50K"),
    ]


NAMES = ["rows.data", "rows.csv.gz", "rows.txt"]


@pytest.mark.parametrize("name", cases(NAMES, NAMES[:2]))
def test_no_header_and_label_by_index(spark, write, name):
    path = write(name, "1,2.5,yes\n3,4,no\n")
    table = read_table(spark, path, label=-1)
    assert (table.label, table.features) == ("c2", ["c0", "c1"])
    assert table.schema.header is False
    assert read_table(spark, path, label="0", features=["c1"]).label == "c0"
    assert sorted(r["c2"] for r in table.df.collect()) == ["no", "yes"]


def test_labels_of_every_kind(spark, write):
    kinds = {"1\n2": "bigint", "1.5\n2": "double", "true\nFalse": "boolean", "1\nx": "string"}
    for i, (labels, kind) in enumerate(kinds.items()):
        rows = "\n".join(f"{j},{label}" for j, label in enumerate(labels.split("\n")))
        table = read_table(spark, write(f"{i}.csv", f"x,label\n{rows}\n"))
        assert dict(table.df.dtypes)["label"] == kind


def test_a_categorical_column_of_numbers_stays_text(spark, write):
    path = write("c.csv", "code,x,label\n01,1,a\n2,2,b\n")
    table = read_table(spark, path, categorical=["code"])
    assert sorted(r["code"] for r in table.df.collect()) == ["01", "2"]
    assert table.schema.kind("code") == "string"


def test_parts_with_a_header_each(spark, write, tmp_path):
    for i in range(3):
        write(f"parts.csv/part-{i}.csv", f"\ufeffa,label\n{i},x\n\n# end\n")
    with pytest.raises(DataError, match="3 of 6 rows .* '# end'.*--comment"):
        read_table(spark, str(tmp_path / "parts.csv"))
    table = read_table(spark, str(tmp_path / "parts.csv"), comment="#")
    assert sorted(r["a"] for r in table.df.collect()) == [0, 1, 2]


@pytest.mark.long
def test_blanks_latin_1_and_values_over_lines(spark, write):
    table = read_table(spark, write("b.txt", " 1  2.5\tx\n3 4 y\n"), label=-1)
    assert [tuple(r) for r in table.df.collect()] == [(1, 2.5, "x"), (3, 4, "y")]
    table = read_table(spark, write("l.csv", "a,größe,label\n1,2,é\n".encode("latin-1")))
    assert table.features == ["a", "größe"]
    assert table.df.collect()[0]["label"] == "é"
    table = read_table(spark, write("m.csv", 'a,label\n1,"x\n\ny"\n2,z\n'))
    assert [tuple(r) for r in table.df.collect()] == [(1, "x\n\ny"), (2, "z")]


@pytest.mark.modes("connect")
def test_parquet(spark, tmp_path):
    path = str(tmp_path / "p.parquet")
    spark.createDataFrame(
        [(1, [1.0, 2.0], "a", True)], "n int, v array<double>, s string, b boolean"
    ).write.parquet(path)
    table = read_table(spark, path, label="s", features=["v", 0])
    assert (table.label, table.features) == ("s", ["n", "v"])
    assert table.schema.kinds == ("number", "other", "string", "boolean")
    assert code_of(read_table, spark, path, label="S")[0] == "column_not_found"
    assert "Did you mean 's'" in code_of(read_table, spark, path, label="S")[1]


@pytest.mark.long
def test_a_further_file_is_read_as_the_first(spark, write):
    first = read_table(
        spark, write("a.csv", "id,x,kind,label\n7,1.5,3,a\n8,2,x,b\n"), label="label"
    )
    schema = TableSchema.from_dict(first.schema.to_dict())
    assert schema == first.schema
    # Another order, a column more, numbers where there were words, whole where there were halves.
    path = write("b.csv", "more,label,kind,x,id\nq,a,5,1,1\nr,c,6,2,2\n")
    again = read_table(spark, path, schema_from=schema)
    assert dict(again.df.dtypes) == {
        "more": "string",
        "label": "string",
        "kind": "string",
        "x": "double",
        "id": "double",
    }
    assert (again.label, again.features) == ("label", ["id", "x", "kind"])
    # Without names, position tells.
    bare = read_table(spark, write("c.csv", "1,2,x,a\n"), schema_from=schema)
    assert bare.df.columns == ["id", "x", "kind", "label"]
    unlabelled = read_table(
        spark, write("d.csv", "id,x,kind\n1,2,y\n"), schema_from=schema, label_optional=True
    )
    assert (unlabelled.label, unlabelled.df.columns) == ("", ["id", "x", "kind"])
    bad = [
        ("id,x,label\n1,2,a\n", "column_not_found", "'kind'"),
        ("id,x,kind\n1,2,y\n", "column_not_found", "'label'"),
        ("id,x,kind,label\n1,two,y,a\n", "non_numeric_value", "1 of 1 values"),
        ("1,2\n3,4\n", "column_count", "has 2 columns, but the training data had 4"),
    ]
    for i, (text, code, words) in enumerate(bad):
        found, message = code_of(read_table, spark, write(f"bad{i}.csv", text), schema_from=schema)
        assert (found, words in message) == (code, True), message


def test_a_further_file_without_label_and_header(spark, write):
    first = read_table(spark, write("a.csv", "a,1,2\nb,3,4\n"), label=0)
    table = read_table(
        spark, write("b.csv", "5,6\n"), schema_from=first.schema, label_optional=True
    )
    assert [tuple(r) for r in table.df.collect()] == [(5.0, 6.0)]
    assert table.df.columns == ["c1", "c2"]


BAD = {
    "empty": ("", {}, "empty_data", "has no rows"),
    "header_only": ("a,label\n", {"header": True}, "empty_data", "no rows"),
    "alike": ("a,b,a\n1,2,3\n", {"label": "b"}, "duplicate_columns", "'a' and 'a'"),
    "alike_case": ("a,b,A\n1,2,3\n", {"label": "b"}, "duplicate_columns", "'a' and 'A'"),
    "ragged": ("a,label\n1,2\n3\n4,5\n", {}, "ragged_rows", "1 of 3 rows"),
    "misspelt": ("colour,b\n1,2\n", {"label": "color"}, "column_not_found", "mean 'colour'"),
    "no_label": ("a,b\n1,2\n", {}, "label_not_given", "Columns are: a, b"),
    "index": ("a,b\n1,2\n", {"label": 5}, "column_not_found", "from 0 to 1"),
    "features": ("a,label\n1,2\n", {"features": ["z*"]}, "column_not_found", "z*"),
    "label_as_feature": ("a,label\n1,2\n", {"features": ["label"]}, "column_twice", "label"),
    "only_label": ("label\n1\n2\n", {}, "no_features", "no feature column"),
    "not_a_feature": (
        "a,b,label\n1,2,3\n",
        {"features": ["a"], "categorical": ["b"]},
        "categorical_not_feature",
        "'b'",
    ),
    "name_without_header": ("1,2\n3,4\n", {"label": "y"}, "column_not_found", "--header"),
    "binary": (b"\x1f\x00\x00\x01,2\n", {}, "wrong_format", "not a text file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(spark, write, case):
    content, options, code, words = BAD[case]
    found, message = code_of(read_table, spark, write("bad.csv", content), **options)
    assert found == code, message
    assert words in message


def test_missing_and_misnamed_files(spark, write, tmp_path):
    with pytest.raises(StorageError, match="There is no file"):
        read_table(spark, str(tmp_path / "none.csv"))
    with pytest.raises(StorageError, match="There is no file"):
        read_table(spark, str(tmp_path / "none.parquet"))
    with pytest.raises(DataError, match="is not Parquet"):
        read_table(spark, write("x.csv", "a,label\n1,2\n"), format="parquet")
    (tmp_path / "void.parquet").mkdir()
    with pytest.raises(DataError, match="has no data files"):
        read_table(spark, str(tmp_path / "void.parquet"))
    with pytest.raises(ConfigurationError, match="Did you mean 'parquet'"):
        read_table(spark, "x", format="parket")


@pytest.mark.parametrize(
    ("uri", "format"),
    [
        ("a.csv", "csv"),
        ("s3://bucket/x/a.CSV.gz", "csv"),
        ("a.data", "csv"),
        ("a.tsv.bz2", "tsv"),
        ("a.svm", "libsvm"),
        ("a/b.libsvm/", "libsvm"),
        ("a/*.csv", "csv"),
        ("a.csv/part-*", "csv"),
        ("a.parquet", "parquet"),
        ("warehouse/table", "parquet"),
    ],
)
def test_formats_by_name(uri, format):
    assert format_of(uri) == format


def test_a_name_that_tells_nothing():
    with pytest.raises(ConfigurationError, match="does not show the format"):
        format_of("table.xlsx")


@pytest.mark.long
def test_real_files(spark, shared_data):
    table = read_table(spark, str(shared_data / "mammography.csv"), label=-1)
    assert (table.df.count(), len(table.features)) == (11_183, 6)
    assert table.df.where("c6 = 1").count() == 260
    first = read_table(spark, str(shared_data / "higgs7k.train.tsv"), label=0)
    test = read_table(spark, str(shared_data / "higgs7k.test.tsv"), schema_from=first.schema)
    assert (first.df.count(), test.df.count(), len(test.features)) == (7000, 500, 28)


def test_a_parquet_name_that_stands_twice(spark, tmp_path):
    for names in (["x", "X"], ["`", "`"], ["a`b", "a`b"]):
        path = str(tmp_path / f"{len(names[0])}{ord(names[0][0])}.parquet")
        pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names), path)
        with pytest.raises(DataError, match="duplicate column names") as caught:
            read_table(spark, path)
        assert caught.value.code == "duplicate_columns"
