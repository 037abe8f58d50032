"""Tables, options and outputs that nobody foresaw: a job says what is wrong, never "unexpected".

``SPARKML_DIST_HOSTILE=N`` tries N tables for each job in place of a few, from other seeds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkml_dist.cli import runner
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

JOBS = Path(__file__).resolve().parents[2] / "jobs"
TRIES = int(os.environ.get("SPARKML_DIST_HOSTILE", "0"))
STATUSES = {0, 2, 10, 11, 12, 13, 14}


def job(name):
    spec = importlib.util.spec_from_file_location(f"hostile_{name}", JOBS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def session(spark, monkeypatch):
    """Let jobs run on the tests' session, which they must not stop."""
    monkeypatch.setattr(runner, "_started", lambda name: spark)
    monkeypatch.setattr(runner.Job, "stop", lambda self: None)


def tried(tries):
    return settings(
        max_examples=TRIES or tries,
        derandomize=not TRIES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


# -- tables ---------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-3, 3),
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from([1e308, -1e308, 5e-324, -0.0, 2**53 + 1, 2**63]),
)
words = st.one_of(
    st.sampled_from(
        ["", " ", "NA", "null", "a", "A", "true", "1", "#x", '"', "'", ",", "\\", "é", "日"]
    ),
    st.text(max_size=5),
)
days = st.sampled_from(["2024-03-31", "2024-03-31 02:30:00", "1900-01-01", "9999-12-31", "24/3/1"])
names = st.one_of(
    st.sampled_from(
        ["x", "y", "label", "a b", "a.b", "`", "$$", "prediction", "Prediction", "id", ""]
    ),
    st.text(max_size=4),
)


columns = st.sampled_from(
    [
        numbers,
        words,
        days,
        st.integers(0, 1),
        st.sampled_from(["a", "b"]),
        st.just(0),
        st.just(""),
        st.just("a"),
        st.floats(-1, 1),
        st.integers(-100, 100),
    ]
)


def names_of(n):
    """Return a strategy for the names of `n` columns; mostly of different ones."""
    return st.integers(0, 5).flatmap(
        lambda i: st.lists(names, min_size=n, max_size=n, unique_by=str.casefold if i else None)
    )


@st.composite
def rows_of(draw):
    """Return names and rows of a table; the values of a column are of one kind."""
    n = draw(st.integers(0, 25))
    kinds = draw(st.lists(columns, min_size=1, max_size=4))
    found = draw(names_of(len(kinds)))
    made = [draw(st.lists(kind, min_size=n, max_size=n)) for kind in kinds]
    return found, list(zip(*made, strict=True))


@st.composite
def text_tables(draw):
    """Return the bytes of a text table, and the end of its name."""
    header, rows = draw(rows_of())
    comma = draw(st.sampled_from([",", ";", "\t", " ", "|"]))
    lines = [comma.join(str(v) for v in row) for row in rows]
    if draw(st.booleans()):
        lines = [comma.join(header), *lines]
    end = draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    text = end.join(lines).encode("utf-8", "replace")
    damage = draw(st.sampled_from(["", "", "", "cut", "byte", "null", "bom"]))
    if damage == "cut":
        text = text[: len(text) // 2]
    elif damage == "byte":
        text += b"\xff"
    elif damage == "null":
        text += b"\0\0"
    elif damage == "bom":
        text = b"\xef\xbb\xbf" + text
    suffix = draw(st.sampled_from([*[".csv"] * 5, ".data", ".csv.gz", ".svm", ".tsv", ".parquet"]))
    return text, suffix, header


arrow_columns = st.sampled_from(
    [
        pa.array([1, 2, None, 4] * 5),
        pa.array([0.5, float("nan"), float("inf"), 1.0] * 5),
        pa.array([0.5, 1.5, 2.5, 3.0] * 5),
        pa.array(["a", "b", None, ""] * 5),
        pa.array([True, False, None, True] * 5),
        pa.array([[1, 2], [], None, [3]] * 5),
        pa.array([[0.5, 1.0], [2.0, 3.0], [1.0, 1.0], [0.0, 2.0]] * 5),
        pa.array([{"k": 1}] * 20),
        pa.array([[("k", 1)]] * 20, pa.map_(pa.string(), pa.int64())),
        pa.array([b"\xff", b"", None, b"a"] * 5),
        pa.array([None] * 20),
        pa.array([1, 2, 3, 2**64 - 1] * 5, pa.uint64()),
        pa.array([1, 2, None, 4] * 5, pa.timestamp("ns")),
        pa.array([1, 2, None, 4] * 5, pa.timestamp("us", "Europe/Berlin")),
        pa.array([1, 2, None, 4] * 5, pa.date32()),
        pa.array([1, 2, None, 4] * 5, pa.duration("us")),
        pa.array([1, 2, None, 4] * 5, pa.decimal128(38, 10)),
        pa.array([1, 2, None, 4] * 5, pa.time64("us")),
        pa.array(["a", "b", "a", None] * 5).dictionary_encode(),
        pa.array([1, 0, 1, 1] * 5, pa.int8()),
        pa.array([7] * 20),
    ]
)


@st.composite
def parquet_tables(draw):
    made = draw(st.lists(arrow_columns, min_size=1, max_size=4))
    named = draw(names_of(len(made)))
    table = pa.Table.from_arrays(made, names=named)
    table = table.slice(0, draw(st.sampled_from([0, 1, 2, 20, 20, 20])))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes(), ".parquet", named


# -- options --------------------------------------------------------------------------------------

some_columns = st.sampled_from(
    ["x", "y", "label", "id", "0", "1", "-1", "9", "*", "a b", "`", "a.b"]
)
READING = [
    st.just(()),
    st.sampled_from([("--header",), ("--no-header",)]),
    st.sampled_from([("--delimiter", d) for d in (",", ";", "tab", "space", "|")]),
]
POINTS = [
    *READING,
    some_columns.map(lambda c: ("--label", c)),
    some_columns.map(lambda c: ("--features", c)),
    some_columns.map(lambda c: ("--key", c)),
]
OPTIONS = {
    "profile": [*READING, some_columns.map(lambda c: ("--target", c)), st.just(("--top", "0"))],
    "cluster": [
        *POINTS,
        st.sampled_from(
            [
                ("--eps", "0.5"),
                ("--eps", "0"),
                ("--eps", "inf"),
                ("--eps", "nan"),
                ("--method", "kmeans", "--k", "2"),
                ("--method", "kmeans", "--k", "2:4"),
                ("--method", "kmedoids", "--k", "2"),
                ("--method", "minibatch-kmeans", "--k", "3"),
            ]
        ),
    ],
    "find_outliers": [
        *POINTS,
        st.just(("--categorical", "auto")),
        st.sampled_from(
            [
                ("--method", "lof", "--neighbors", "2"),
                ("--method", "robust-z"),
                ("--method", "extended", "--members", "2"),
                ("--members", "2", "--max-samples", "2"),
                ("--contamination", "0.5"),
                ("--contamination", "nan"),
            ]
        ),
    ],
    "mine_itemsets": [
        some_columns.map(lambda c: ("--items", c)),
        some_columns.map(lambda c: ("--items", c, "--basket", "y")),
        st.sampled_from(
            [
                ("--format", "dat"),
                ("--format", "csv", "--items", "0", "--basket", "1", "--no-header"),
                ("--format", "libsvm", "--label-as-item"),
                ("--rules",),
                ("--min-count", "1", "--max-length", "2"),
                ("--target", "closed"),
                ("--delimiter", ","),
            ]
        ),
    ],
    "train_ensemble": [
        *POINTS,
        st.just(("--categorical", "auto")),
        some_columns.map(lambda c: ("--weight", c)),
        st.sampled_from(
            [
                ("--regression",),
                ("--method", "adaboost"),
                ("--method", "voting"),
                ("--impute", "mean", "--scale"),
                ("--oob",),
                ("--calibrate", "isotonic"),
                ("--test-fraction", "0.5"),
            ]
        ),
    ],
}
FIXED = {
    "train_ensemble": ("--members", "2", "--shards", "1"),
    "mine_itemsets": ("--max-itemsets", "5000"),
}
# The option that most often names a column of the table.
ROLES = {
    "profile": "--target",
    "cluster": "--label",
    "find_outliers": "--label",
    "mine_itemsets": "--items",
    "train_ensemble": "--label",
}


def main_of(module):
    return getattr(module, "main", None) or module.profile_table


MAINS = ("profile", "cluster", "find_outliers", "mine_itemsets", "train_ensemble")


@pytest.mark.parametrize("name", MAINS)
def test_hostile_tables(name, session, capsys):
    module = job(name)
    data = "--train" if name == "train_ensemble" else "--input"
    ended = Counter()

    @tried(settings.default.max_examples // 10)
    @given(
        table=st.one_of(text_tables(), parquet_tables()),
        options=st.lists(st.one_of(OPTIONS[name]), max_size=2),
        pick=st.integers(0, 4),
    )
    def attempt(table, options, pick):
        content, suffix, named = table
        home = Path(tempfile.mkdtemp())
        try:
            path, out = home / f"t{suffix}", home / "out"
            path.write_bytes(content)
            said = [part for option in options for part in option]
            if pick < len(named) and ROLES[name] not in said:
                said += [f"{ROLES[name]}={named[pick]}"]
            if name == "cluster" and not {"--eps", "--method"} & {*said}:
                said += ["--eps", "1"]
            argv = [data, str(path), "--output", str(out), *FIXED.get(name, ()), *said]
            status = runner.run_job(name, module.options(), main_of(module), argv)
            told = capsys.readouterr()
            document = json.loads(told.out.splitlines()[-1])
            error = document.get("error", {})
            trace = "\n".join(error.get("traceback", []))
            ended[error.get("code", "ok")] += 1
            assert status in STATUSES, f"{argv}\n{content!r}\n{error.get('message')}\n{trace}"
            if status:
                assert error["exit_status"] == status and error["message"]
                assert len([s for s in told.err.splitlines() if s.startswith(f"{name}: ")]) == 1
                left = {p.name for p in out.iterdir()} if out.exists() else set()
                if status == 11 and not (out / "model" / "manifest.json").exists():
                    assert left <= {"metrics.json", "report.html"}, (left, argv, content)
                assert left <= {
                    "metrics.json",
                    "report.html",
                    "job.json",
                    "shards",
                    "model",
                    "uncalibrated",
                    "rows",
                }, left
            else:
                assert json.loads((out / "metrics.json").read_text())["status"] == "ok"
                assert (out / "report.html").exists()
        finally:
            shutil.rmtree(home)

    attempt()
    if TRIES:
        with capsys.disabled():
            print(f"\n{name}: {ended.total()} tables,", dict(ended.most_common()))


CONSTANT = {
    "one class": "x,y,label\n" + "".join(f"{i},{i % 7},a\n" for i in range(40)),
    "constant features": "x,y,label\n" + "".join(f"1,2,{i % 2}\n" for i in range(40)),
    "all constant": "x,y,label\n" + "1,2,3\n" * 40,
}


@pytest.mark.parametrize("kind", cases(CONSTANT, ["all constant"]))
@pytest.mark.parametrize("name", ["train_ensemble", "find_outliers", "cluster"])
def test_constant_tables(name, kind, session, capsys, tmp_path):
    (tmp_path / "t.csv").write_text(CONSTANT[kind])
    module, out = job(name), tmp_path / "out"
    argv = ["--train", str(tmp_path / "t.csv"), "--label", "label", "--output", str(out)]
    argv += {"cluster": ["--eps", "1"]}.get(name, [*FIXED.get(name, ())])
    status = runner.run_job(name, module.options(), main_of(module), argv)
    capsys.readouterr()
    if status:
        assert status == 11
        assert {p.name for p in out.iterdir()} == {"metrics.json", "report.html"}
    else:
        assert json.loads((out / "metrics.json").read_text())["status"] == "ok"
    if (name, kind) == ("train_ensemble", "one class"):
        assert status == 11


# -- command lines --------------------------------------------------------------------------------

values = st.one_of(
    st.sampled_from(["", "0", "-1", "1", "nan", "inf", "1e999", "{}", "[1]", "a:b", "1:2", "512m"]),
    st.text(max_size=6),
)


@pytest.mark.parametrize("name", [*MAINS, "score", "train_deep"])
def test_hostile_command_lines(name):
    parser = job(name).options()
    known = st.sampled_from(sorted(parser._option_string_actions))

    @tried(150)
    @given(st.lists(st.one_of(known, known, values), max_size=8))
    def attempt(argv):
        if {"-h", "--help"} & set(argv):
            return
        try:
            parser.parse_args(argv)
        except SparkMLDistError as error:
            assert error.exit_status == 2

    attempt()


# -- outputs --------------------------------------------------------------------------------------

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["plan", "outcome", "rooms", "files", "status"]), inner)
    ),
    max_leaves=6,
)
FILES = ["job.json", "metrics.json", "metrics.failed.json", "next/job.json", "next/complete.json"]


@tried(200)
@given(
    altered=st.dictionaries(
        st.sampled_from(FILES), st.one_of(json_values, st.binary(max_size=8)), min_size=1
    ),
    genuine=st.booleans(),
    mode=st.sampled_from(["", "overwrite", "resume"]),
)
def test_hostile_outputs(altered, genuine, mode):
    home = Path(tempfile.mkdtemp())
    try:
        folder = Folder.at(home)
        if genuine:
            first = JobOutput(folder)
            first.claim({"a": 1})
            first.model.write_bytes("precious", b"1")
        for name, value in altered.items():
            if isinstance(value, bytes):
                folder.write_bytes(name, value)
            else:
                if name.endswith("job.json") and isinstance(value, dict):
                    value = {"format": "sparkml_dist.job", **value}
                folder.write_json(name, value)
        output = JobOutput(folder, overwrite=mode == "overwrite", resume=mode == "resume")
        try:
            output.check({"a": 1})
        except SparkMLDistError as error:
            assert error.exit_status in (10, 14)
            if genuine:
                assert (home / "model" / "precious").exists()
        else:
            output.outcome()
    finally:
        shutil.rmtree(home)
