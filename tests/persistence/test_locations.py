"""One spelling for each place, and no folder made of what looks like a URI."""

from __future__ import annotations

import os

import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence import locations
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import canonical, local_path


@pytest.mark.parametrize(
    "given",
    [
        "/a/b",
        "/a/b/",
        "/a/c/../b",
        "file:/a/b",
        "file:///a/b/",
        "file://localhost/a/b",
        "FILE:/a/b",
    ],
)
def test_a_local_place_has_one_spelling(given):
    assert canonical(given) == Folder.at(given).location == local_path(given) == "/a/b"


def test_blanks_of_file_uris():
    assert canonical("file:///a%20b/c") == canonical("file:/a b/c") == "/a b/c"


def test_stores_keep_their_uri():
    assert canonical("s3://bucket/x/") == "s3://bucket/x"
    assert canonical("hdfs:/x") == "hdfs:///x"
    assert local_path("s3://bucket/x") is None


@pytest.mark.parametrize("given", ["dbfs:/x", "s3:/bucket/x", "foo:x", "file:x", "file://host/x"])
def test_what_looks_like_a_uri_makes_no_folder_here(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="scheme_not_known"):
        Folder.at(given).write_bytes("a", b"x")
    assert not os.listdir(tmp_path)


def test_a_colon_in_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert canonical("./run:1") == str(tmp_path / "run:1")
    assert canonical("2024-01-01T10:00") == str(tmp_path / "2024-01-01T10:00")


def test_databricks_where_it_is_mounted(tmp_path, monkeypatch):
    monkeypatch.setattr(locations, "_DATABRICKS_MOUNT", str(tmp_path))
    assert (
        canonical("dbfs:/models/a") == canonical("dbfs:///models/a/") == str(tmp_path / "models/a")
    )


def test_the_same_place_by_links_and_spellings(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "p")
    p = Folder.at(tmp_path / "p")
    for other in (tmp_path / "p/", tmp_path / "q/../p", tmp_path / "link", p.location + "//"):
        assert p.same_place(Folder.at(other)) and Folder.at(other).same_place(p)
    assert p.same_place(Folder.at((tmp_path / "p").as_uri()))
    assert p.same_place(Folder((tmp_path / "p").as_uri()))
    assert not p.same_place(Folder.at(tmp_path / "pp"))
    missing = Folder.at(tmp_path / "link/new")
    assert missing.same_place(Folder.at(tmp_path / "p/new"))


def test_a_place_inside_another(tmp_path):
    (tmp_path / "p/in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "p/in")
    p = Folder.at(tmp_path / "p")
    for inner in (tmp_path / "p/in", tmp_path / "p/a/b/c", tmp_path / "link", tmp_path / "link/x"):
        assert p.contains(Folder.at(inner)) and not Folder.at(inner).contains(p)
    assert Folder.at("/").contains(p)
    assert not p.contains(p)
    assert not p.contains(Folder.at(tmp_path / "pp"))


def test_places_in_stores():
    bucket, model = Folder.at("s3://b"), Folder.at("s3://b/m")
    assert model.same_place(Folder.at("s3a://b/x/../m/")) and bucket.contains(model)
    assert model.same_place(Folder.at("s3://key:secret@b/m?region=eu"))
    assert Folder.at("s3a://b/m").contains(Folder.at("s3://b/m/in"))
    assert not model.same_place(Folder.at("s3://other/m"))
    assert not model.same_place(Folder.at("/m")) and not bucket.contains(Folder.at("/b/m"))
    assert Folder.at("hdfs:///m").same_place(Folder.at("hdfs://name:8020/m"))
    assert not Folder.at("hdfs://a/m").same_place(Folder.at("hdfs://b/m"))
    assert not Folder.at("abfss://one@acc.net/m").same_place(Folder.at("abfss://two@acc.net/m"))
