"""libsvm lines against scikit-learn's reader, and files through Spark."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.tables import libsvm
from sparkml_dist.tables.libsvm import parse_lines
from sparkml_dist.tables.read import read_table

values = st.floats(-1e6, 1e6, width=32).filter(lambda v: v != 0)
rows = st.lists(
    st.tuples(st.integers(-3, 3), st.dictionaries(st.integers(1, 40), values, max_size=6)),
    min_size=1,
    max_size=10,
)


def written(rows):
    return "\n".join(
        " ".join([str(label), *[f"{i}:{v!r}" for i, v in sorted(features.items())]])
        for label, features in rows
    )


@given(rows)
def test_parsing_undoes_writing(rows):
    X, y = parse_lines(written(rows))
    assert y.tolist() == [label for label, _ in rows]
    for row, (_, features) in zip(X, rows, strict=True):
        assert dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) == features


@given(rows, st.sampled_from(["", "# comment 1:2\n", "\n  \n"]))
def test_both_parsers_agree(rows, between):
    text = written(rows).replace("\n", "\n" + between)
    X, y = parse_lines(text)
    slow_X, slow_y = libsvm._parse_one_by_one(text)
    assert (y == slow_y).all()
    assert X.shape == slow_X.shape
    assert abs(X - slow_X).sum() == 0


def test_qid_comments_signs_and_order_are_tolerated():
    X, y = parse_lines("+1 qid:7 3:0.5 # note 4:4\n\n-1 5:1 2:0.25")
    assert y.tolist() == [1, -1]
    assert X.toarray().tolist() == [[0, 0, 0, 0.5, 0, 0], [0, 0, 0.25, 0, 0, 1]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x 1:2", "label must be a number"),
        ("1,2 1:2", "label must be a number"),
        ("nan 1:2", "not finite"),
        ("1 1", "not index:value"),
        ("1 1:x", "not index:value"),
        ("1 -1:2", "not index:value"),
        ("1 1.5:2", "not index:value"),
        ("1 3:1 3:2", "occurs twice"),
        ("1 99999999999:1", "too large"),
    ],
)
def test_malformed_lines_are_told(line, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        parse_lines(f"1 1:1\n{line}\n0 2:2")
    assert line in str(caught.value)


def collected(df):
    y, rows = [], []
    for row in df.collect():
        y.append(row["label"])
        dense = np.zeros(row["features"]["size"])
        dense[row["features"]["indices"]] = row["features"]["values"]
        rows.append(dense)
    return np.array(y), np.array(rows)


@pytest.mark.modes("local-cluster")
def test_files_of_both_bases(spark, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 7)).astype(np.float32) * (rng.random((50, 7)) < 0.4)
    X[0] = 1
    y = rng.integers(0, 3, 50)
    for zero_based in (True, False):
        path = tmp_path / f"base-{zero_based}.svm"
        dump_svmlight_file(X, y, str(path), zero_based=zero_based, comment="made here")
        table = read_table(spark, str(path))
        assert (table.label, table.features) == ("label", ["features"])
        assert (table.schema.n_features, table.schema.zero_based) == (7, zero_based)
        found_y, found_X = collected(table.df)
        assert (found_y == y).all()
        assert np.allclose(found_X, X, atol=1e-6)


def test_a_further_file_is_read_as_the_first(spark, tmp_path):
    (tmp_path / "a.svm").write_text("1 1:1 3:3\n0 2:2\n")
    (tmp_path / "b.svm").write_text("1 2:5\n")
    (tmp_path / "c.svm").write_text("1 2:5 9:1\n")
    (tmp_path / "d.svm").write_text("1 0:5\n")
    first = read_table(spark, str(tmp_path / "a.svm"))
    for name in ("b.svm", "c.svm"):
        table = read_table(spark, str(tmp_path / name), schema_from=first.schema)
        assert collected(table.df)[1].tolist() == [[0, 5, 0]]
    with pytest.raises(DataError, match="counts features from 0"):
        read_table(spark, str(tmp_path / "d.svm"), schema_from=first.schema)


def test_a_folder_of_parts_is_one_table(spark, tmp_path):
    folder = tmp_path / "parts.svm"
    folder.mkdir()
    for i in range(3):
        (folder / f"part-{i}").write_text(f"{i} {i + 1}:1\n")
    table = read_table(spark, str(folder))
    assert table.df.count() == 3
    assert table.schema.n_features == 3


def test_errors(spark, tmp_path):
    bad = tmp_path / "bad.svm"
    bad.write_text("1 1:1\n0 2:oops\n1 1\n")
    with pytest.raises(DataError, match="2 lines .* '0 2:oops'"):
        read_table(spark, str(bad))
    bad.write_text("1\n0\n")
    with pytest.raises(DataError, match="no_features"):
        read_table(spark, str(bad))
    bad.write_text("# nothing\n")
    with pytest.raises(DataError, match="empty_data"):
        read_table(spark, str(bad))
    with pytest.raises(StorageError, match="file_not_found"):
        read_table(spark, str(tmp_path / "none.svm"))
    with pytest.raises(ConfigurationError, match="must not be given"):
        read_table(spark, str(bad), features=["a"])


def test_real_file_agrees_with_scikit_learn(spark, shared_data):
    path = shared_data / "agaricus.test.svm"
    X, y = load_svmlight_file(str(path), n_features=126)
    train = read_table(spark, str(shared_data / "agaricus.train.svm"))
    table = read_table(spark, str(path), schema_from=train.schema)
    found_y, found_X = collected(table.df)
    assert (found_y == y).all()
    assert (found_X == X.toarray()).all()


def test_bytes_are_not_decoded_by_the_driver(tmp_path, spark):
    path = tmp_path / "latin.svm"
    path.write_bytes("1 1:1 # café\n0 1:2\n".encode("latin-1"))
    assert collected(read_table(spark, str(path)).df)[0].tolist() == [1, 0]


def test_scikit_learn_reads_what_the_fallback_reads():
    text = "1 1:0.5 4:2\n-1 2:1e-3\n"
    X, y = load_svmlight_file(io.BytesIO(text.encode()), zero_based=True)
    slow_X, slow_y = libsvm._parse_one_by_one(text)
    assert np.allclose(X.toarray(), slow_X.toarray())
    assert (y == slow_y).all()
