"""Lines of text tables to typed columns, without Spark."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.dataset.table_schema import MISSING_VALUES
from sparkml_dist.dataset.table_sniff import Dialect
from sparkml_dist.dataset.table_text import parse_text
from sparkml_dist.dataset.table_values import look_at, present, typed


def parsed(text, delimiter=",", width=2, **more):
    columns, ragged = parse_text(text, Dialect(delimiter, width=width, **more))
    return list(zip(*[c.to_pylist() for c in columns], strict=True)), ragged


def test_header_comments_and_empty_lines_are_left_out_wherever_they_stand():
    text = "# one\na,b\n1,2\n\n# two\n \n3,4\na,b\n5,6"
    rows, ragged = parsed(text, header=("a", "b"), first_line="a,b")
    assert rows == [("1", "2"), ("3", "4"), ("5", "6")]
    assert ragged == []


def test_rows_of_another_width_are_described():
    rows, ragged = parsed("1,2\n3\n4,5,6\n7,8")
    assert rows == [("1", "2"), ("7", "8")]
    assert ragged == ["1: '3'.", "3: '4,5,6'."]
    rows, ragged = parsed("1  2\n3\n 4\t5 ", delimiter=" ")
    assert rows == [("1", "2"), ("4", "5")]
    assert ragged == ["1: '3'."]


def test_quotes_after_blanks_are_quotes():
    rows, _ = parsed('1, "a, b"\n2,"c ""d"""\n3,plain "e"')
    assert rows == [("1", "a, b"), ("2", 'c "d"'), ("3", 'plain "e"')]


def test_values_over_several_lines():
    rows, _ = parsed(
        '\n# c\na,b\n1,"x\n# no comment"\n2,y\n',
        header=("a", "b"),
        first_line="a,b",
        multiline=True,
    )
    assert rows == [("1", "x\n# no comment"), ("2", "y")]


def test_nothing_but_a_header_is_no_row():
    assert parsed("a,b", header=("a", "b"), first_line="a,b") == ([], [])


def column(*values):
    return present(pa.array(values, pa.string()), MISSING_VALUES)


def test_missing_values_and_blanks():
    values = column(" 1", "?", "", " NA ", "null", None, "2.5 ")
    assert values.to_pylist() == ["1", None, None, None, None, None, "2.5"]
    assert typed(values, "number").to_pylist() == [1.0, None, None, None, None, None, 2.5]


def test_types():
    assert typed(column("1", "+2.0"), "integer").to_pylist() == [1, 2]
    assert typed(column("True", "FALSE", "?"), "boolean").to_pylist() == [True, False, None]
    assert typed(column("1,5", "2"), "number", ",").to_pylist() == [1.5, 2.0]
    assert typed(column("1", "x"), "number") is None
    assert typed(column("true", "1"), "boolean") is None
    assert typed(column("1d"), "number") is None


@pytest.mark.parametrize(
    ("values", "counts", "example"),
    [
        (("1", "2.5", "3"), [3, 0, 1, 3], None),
        (("1", "x", "y"), [3, 2, 3, 3], "x"),
        (("true", "False"), [2, 2, 2, 0], "true"),
        ((), [0, 0, 0, 0], None),
    ],
)
def test_kinds_are_counted(values, counts, example):
    assert look_at(column(*values)) == (counts, example)


fields = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8)


@given(
    st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=8),
    st.sampled_from([",", ";", "|", "\t"]),
)
def test_parsing_undoes_writing(rows, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        rows
    )
    found, ragged = parsed(text.getvalue(), delimiter, 3, comments=False)
    assert ragged == []
    # Blanks before a quote are not told apart from blanks before a quoted field.
    strip = [tuple(f.replace(" ", "") for f in row) for row in rows]
    assert [tuple(f.replace(" ", "") for f in row) for row in found] == strip


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=30))
def test_numbers_survive(values):
    written = pa.array([None if v is None else repr(v) for v in values], pa.string())
    counts, _ = look_at(present(written, MISSING_VALUES).drop_null())
    assert counts[1] == 0
    assert typed(present(written, MISSING_VALUES), "number").to_pylist() == values
