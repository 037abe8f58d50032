"""BIF and XMLBIF: what is written is read again, and what is wrong is named with its line."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.graphical import read_network
from sparkml_dist.graphical.formats.bif import from_bif, to_bif
from sparkml_dist.graphical.formats.xmlbif import from_xmlbif, to_xmlbif
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.variables import Variable, Variables
from tests.graphical.networks import random_network, read

FORMATS = {"bif": (to_bif, from_bif), "xmlbif": (to_xmlbif, from_xmlbif)}
# Names as columns have them; XML has no control characters, and blanks at the ends are not kept.
_NAMES = st.text(
    st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=6
) | st.sampled_from(["a b", 'a"b', "a\\b", "a,b", "(x|y)", "//c", "<a&b>"])


def _same(first, second):
    assert first.variables == second.variables and first.parents == second.parents
    for a, b in zip(first.tables, second.tables, strict=True):
        assert a == pytest.approx(b, abs=1e-15)


@pytest.mark.parametrize("form", FORMATS)
@given(st.integers(0, 10**6), st.lists(_NAMES, min_size=9, max_size=9, unique=True))
def test_what_is_written_is_read_again(form, seed, names):
    write, again = FORMATS[form]
    network = random_network(np.random.default_rng(seed), 5)
    variables = Variables(
        tuple(
            Variable(names[i], tuple(names[4 + s] for s in range(len(v.states))))
            for i, v in enumerate(network.variables.items)
        )
    )
    named = Network(variables, network.parents, network.tables)
    _same(again(write(named)), named)


def test_shared_networks_are_read(shared_data):
    for name, arcs, parameters in (("asia", 8, 18), ("alarm", 46, 509)):
        network = read(shared_data / f"{name}.bif.gz")
        assert (len(network.arcs), network.n_parameters) == (arcs, parameters)
        assert read_network(shared_data / f"{name}.bif.gz").arcs == network.arcs


SPRINKLER = """// A comment, and properties
network "sprinkler" { property author nobody; }
variable rain { type discrete [ 2 ] { yes, no }; property position = (1, 2); }
variable grass {
  type discrete [2] {wet dry};
}
/* over
   lines */
probability ( rain ) { table 0.2 0.8; }
probability ( grass | rain ) {
  (yes) 0.9, 0.1;
  default 0.3, 0.7;
}
"""


def test_what_the_format_allows():
    network = from_bif(SPRINKLER)
    assert network.arcs == [("rain", "grass")]
    assert network.tables[1] == pytest.approx(np.array([[0.9, 0.1], [0.3, 0.7]]))
    # In a list, BIF's first index is the variable's own.
    rows = SPRINKLER[SPRINKLER.index("  (yes)") : SPRINKLER.rindex("}")]
    listed = SPRINKLER.replace(rows, "table 0.9, 0.3, 0.1, 0.7;\n")
    _same(from_bif(listed), network)
    # BIF 0.15, as JavaBayes writes it: no bar before the parents.
    bare = SPRINKLER.replace("( grass | rain )", '( "grass"  "rain" )')
    assert bare != SPRINKLER
    _same(from_bif(bare), network)
    rounded = from_bif(SPRINKLER.replace("0.9, 0.1", "0.33333, 0.66666"))
    assert rounded.tables[1].sum(axis=1) == pytest.approx([1, 1], abs=1e-15)


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        ("  default 0.3, 0.7;\n", "", 10, "no row of probabilities for rain=no"),
        ("(yes) 0.9", "(maybe) 0.9", 11, "'rain' has no state 'maybe'"),
        ("( rain ) { table 0.2 0.8; }", "( rain | grass ) { default 1, 0; }", 9, "rain → grass"),
        ("0.9, 0.1", "0.9, 0.2", 11, "sum to 1.1"),
        ("0.9, 0.1", "1.1, -0.1", 11, "negative"),
        ("0.9, 0.1", "0.9", 11, "Got 1 probabilities"),
        ("0.9, 0.1", "0.9, x", 11, "'x' is not a probability"),
        ("0.9, 0.1", "nan, 0.1", 11, "sum to nan"),
        ("grass | rain", "grass | snow", 10, "no variable 'snow'"),
        ("( rain )", "( snow )", 9, "no variable 'snow'"),
        ("[2]", "[3]", 5, "3 states, but 2 follow"),
        ("{wet dry}", "{wet wet}", 4, "'wet' twice"),
        ("variable grass", "variable rain", 4, "comes twice"),
        ("type discrete [2]", "type continuous [2]", 5, "not discrete"),
        ("probability ( rain ) { table 0.2 0.8; }", "", 3, "'rain' has no probabilities"),
        ("grass | rain", "grass | rain, rain", 10, "its own parent"),
        ("table 0.2 0.8", "table 0.2", 9, "1 probabilities instead of 2"),
        ("variable grass", "variabel grass", 4, "Got 'variabel'"),
        ("default 0.3, 0.7;\n}\n", "default 0.3, 0.7;\n", 12, "the file ends"),
        ("(yes) 0.9, 0.1;", "(yes) 0.9, 0.1;\n (yes) 0.9, 0.1;", 12, "twice"),
        ("(yes)", "(yes, no)", 11, "has 1 parents. Got 2"),
    ],
)
def test_what_is_wrong_in_bif_has_a_line(before, after, line, what):
    assert before in SPRINKLER
    with pytest.raises(DataError) as caught:
        from_bif(SPRINKLER.replace(before, after), "s.bif")
    assert caught.value.code == "network_not_read"
    assert f"s.bif, line {line}: " in caught.value.message and what in caught.value.message


@pytest.mark.parametrize("text", ["", "network x {}", '"', "variable A {", "probability ( A |"])
def test_what_is_no_network(text):
    for again in (from_bif, from_xmlbif):
        with pytest.raises(DataError, match="line 1"):
            again(text)


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        ("<TABLE>\n    0.9 0.1\n", "<TABLE>\n", 24, "2 probabilities instead of 4"),
        ("<GIVEN>rain", "<GIVEN>snow", 21, "no variable 'snow'"),
        ("0.9 0.1", "0.9 x", 21, "'x' is not a probability"),
        ("0.9 0.1", "0.9 0.2", 24, "sum to 1.1"),
        ("<FOR>grass</FOR>", "", 21, "expected one FOR"),
        ("</NETWORK>", "", 30, "not XML"),
        ('<BIF VERSION="0.3">', '<!DOCTYPE BIF [<!ENTITY a "b">]><BIF>', 2, "entity"),
    ],
)
def test_what_is_wrong_in_xmlbif_has_a_line(before, after, line, what):
    text = to_xmlbif(from_bif(SPRINKLER))
    assert before in text
    with pytest.raises(DataError) as caught:
        from_xmlbif(text.replace(before, after), "s.xml")
    assert caught.value.code == "network_not_read"
    assert what in caught.value.message and f"line {line}: " in caught.value.message


def test_files(tmp_path):
    path = tmp_path / "s.bif.gz"
    path.write_bytes(gzip.compress(SPRINKLER.encode()))
    model = read_network(path)
    model.to_xmlbif(f"{tmp_path}/s.xml")
    model.to_bif(f"{tmp_path}/s.bif")
    assert read_network(tmp_path / "s.xml").arcs == read_network(tmp_path / "s.bif").arcs
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a gzip file"):
        read_network(path)
    (tmp_path / "s.bif").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError) as caught:
        read_network(tmp_path / "s.bif")
    assert caught.value.code == "not_utf8"
    with pytest.raises(StorageError):
        read_network(tmp_path / "other.bif")
    with pytest.raises(ConfigurationError, match="format"):
        read_network(tmp_path / "s.net")
