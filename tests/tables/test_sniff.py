"""What is told of a text table from its first lines."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.tables.sniff import BLANKS, is_number, sniff, split_blanks, split_lines

IRIS = ["5.1,3.5,1.4,0.2,setosa", "6.2,2.9,4.3,1.3,versicolor", "5.9,3.0,5.1,1.8,virginica"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("named", [True, False])
def test_delimiter_and_header_are_found(delimiter, named):
    lines = (["sl,sw,pl,pw,kind"] if named else []) + IRIS
    found = sniff([line.replace(",", delimiter) for line in lines])
    assert found.delimiter == delimiter
    assert (found.header is not None) == named
    assert found.width == 5


@pytest.mark.parametrize(
    ("lines", "header"),
    [
        (["a,b,c", "1,2,x", "2,,y"], True),
        (["1,2,x", "2,3,y"], False),
        (["a,b,c", "x,1,p", "y,?,q"], True),
        (["p,x,s"] + ["e,x,s", "p,y,s", "e,b,t"] * 4, False),
        (["class,cap,odour"] + ["e,x,s", "p,y,s", "e,b,t"] * 4, True),
        (["a,b,c"], True),
        (["a,b,a"], False),
        (["a,,c"], False),
        (["a"], False),
        ([",a,b", "0,1,x", "1,2,y"], True),
        (["# a comment", "a,b,label", "1,2,x"], True),
        (['"a","b"', '"1","2"', '"3","4"'], True),
    ],
)
def test_header_rules(lines, header):
    assert (sniff(lines).header is not None) == header


def test_a_known_name_makes_a_header_even_among_numbers():
    lines = ["label,0,1", "5,1,2", "4,1,3"]
    assert sniff(lines).header is None
    assert sniff(lines, known_names=("label",)).header == ("label", "0", "1")
    assert sniff(["e,x,s"], known_names=("class", "cap", "odour")).header is None


def test_what_is_said_wins():
    lines = ["1,2", "3,4"]
    assert sniff(lines, header=True).header == ("1", "2")
    assert sniff(["a,b", "1,2"], header=False).header is None
    assert sniff(lines, delimiter=";").width == 1
    with pytest.raises(ConfigurationError, match="one character"):
        sniff(lines, delimiter=";;")


def test_decimal_commas_do_not_hide_the_semicolon():
    found = sniff(["x;y;z", "1,5;2,25;a", "3,0;4,5;b"])
    assert (found.delimiter, found.header, found.width) == (";", ("x", "y", "z"), 3)


def test_values_over_several_lines_are_no_rows_of_another_width():
    assert sniff(["id,text", '1,"a', 'b"', "2,c"]).width == 2
    assert sniff(["id,text", '1,"a, b"', "2,c", '3,"cut']).width == 2


def test_lines_before_the_table_are_comments_unless_they_look_like_rows():
    found = sniff(["# made by hand", "# on, a, Monday", "a,b", "1,2", "#3,4"])
    assert (found.header, found.comment) == (("a", "b"), "#")
    assert sniff(["#fff,1", "#000,2", "red,3"]).comment == ""
    found = sniff(["#begin\tend", "1\t2", "3\t4"])
    assert (found.header, found.comment) == (("#begin", "end"), "")
    assert sniff(["% a comment", "a,b", "1,2"], comment="%").header == ("a", "b")
    assert sniff(["# a comment", "1,2"], comment="").first_line == "# a comment"


def test_quotes_as_spark_writes_them():
    found = sniff(["item,x", '"pipe 12\\", steel",1', '"a, \\"b\\"",2'])
    assert (found.delimiter, found.width) == (",", 2)
    assert split_lines(['"pipe 12\\", steel",1'], ",") == [['pipe 12", steel', "1"]]
    assert split_lines(['"C:\\",1'], ",") == [["C:\\", "1"]]


def test_a_field_of_megabytes():
    assert sniff(["text,x", "y" * 3_000_000 + ",1", '"z",2']).width == 2


def test_a_ragged_first_line_does_not_set_the_width():
    found = sniff(["|1x3 Cross validator", "25, Private, 226802, <=50K.", "38, ?, 89814, >50K."])
    assert (found.delimiter, found.width) == (",", 4 if found.header is None else 1)


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "5.", "1e-3", "1E+05", "inf", "-Infinity"])
def test_numbers(text):
    assert is_number(text)


@pytest.mark.parametrize("text", ["", "1d", "0x1f", "1_000", "1,5", "1 2", "e5", "one", "."])
def test_not_numbers(text):
    assert not is_number(text)


def test_blanks_leave_quoted_fields_whole():
    assert split_blanks(' 1  2.5\t"a b"  ""  "say ""hi""" ') == ["1", "2.5", "a b", "", 'say "hi"']


words = st.text(st.sampled_from('abc ,;|"\té'), min_size=0, max_size=6).map(str.strip)


@given(
    st.lists(st.lists(words, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from([",", ";", "|", "\t"]),
)
def test_splitting_undoes_writing(rows, delimiter):
    assume(all(any(row) for row in rows))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(rows)
    assert split_lines(text.getvalue().splitlines(), delimiter) == rows


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr)


@given(
    st.lists(st.tuples(numbers, numbers, st.sampled_from(["yes", "no"])), min_size=3, max_size=20),
    st.sampled_from([",", ";", "|", "\t", BLANKS]),
    st.booleans(),
)
def test_a_table_with_numbers_is_told_right(rows, delimiter, named):
    lines = [delimiter.join(row) for row in rows]
    if named:
        lines.insert(0, delimiter.join(["first", "second", "answer"]))
    found = sniff(lines)
    assert found.delimiter == delimiter
    assert (found.header is not None) == named
    assert (found.width, found.comment) == (3, "")


def test_a_likely_delimiter_wins_a_tie_only():
    assert sniff(["a;1,2", "b;3,4"], likely=",").delimiter == ","
    assert sniff(["a;1", "b;3"], likely=",").delimiter == ";"


@pytest.mark.parametrize("lines", [[","], [",,", ","], [" "], ["\t"], ['""'], []])
def test_nothing_but_delimiters_is_told(lines):
    with pytest.raises(DataError, match="empty_data"):
        sniff(lines)
