"""Names in manifests stay inside the manifest's folder."""

from __future__ import annotations

import os

import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_inside, check_names

OUTSIDE = {
    "parent": "../evil.skops",
    "parent further down": "members/../../evil.skops",
    "only parent": "..",
    "parent at the end": "members/..",
    "itself": ".",
    "itself in front": "./member.skops",
    "absolute": "/etc/passwd",
    "absolute twice": "//host/share",
    "empty": "",
    "blank": " ",
    "empty part": "members//member.skops",
    "folder": "members/",
    "backslashes": "..\\evil.skops",
    "drive": "C:/evil.skops",
    "drive without root": "c:evil.skops",
    "stream": "member.skops:hidden",
    "local URI": "file:/etc/passwd",
    "URI": "s3://bucket/key",
    "URI in the middle": "members/s3://bucket",
    "escapes": "%2e%2e/evil.skops",
    "escaped separators": "..%2fevil.skops",
    "escapes twice": "%252e%252e/evil.skops",
    "query": "member.skops?x=../y",
    "fragment": "member.skops#x",
    "pattern": "members/*.skops",
    "NUL": "member.skops\0.txt",
    "newline": "member\n.skops",
    "dots of Windows": ".. /evil.skops",
    "more dots": "... /evil.skops",
    "dot at the end": "member.",
    "blank at the end": "member.skops ",
    "half a character": "member\ud800.skops",
    "long": "m" * 300,
    "deep": "m/" * 1100 + "m",
    "number": 3,
    "nothing": None,
    "bytes": b"member.skops",
    "list": ["member.skops"],
    "mapping": {"name": "member.skops"},
}


@pytest.mark.parametrize("name", OUTSIDE.values(), ids=OUTSIDE.keys())
@pytest.mark.parametrize("location", ["local", "s3://bucket/model"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name, location):
    folder = Folder(str(tmp_path) if location == "local" else location)
    with pytest.raises(StorageError, match="name_outside_folder") as refusal:
        check_inside(name, folder)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "member-000.skops",
        "members/000.skops",
        "stages/0_StringIndexer_ab12/metadata/part-00000-1f-c000.snappy.parquet",
        "stages/x/_SUCCESS",
        ".part-00000.crc",
        "..member",
        "data/region=Zürich/part.parquet",
        "a+b,c (1)@2~.npz",
    ],
)
def test_a_relative_name_passes_unchanged(tmp_path, name):
    assert check_inside(name, Folder(str(tmp_path))) == name
    assert check_inside(name, Folder("gs://bucket/model")) == name


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path, prefix):
    model, elsewhere = tmp_path / "model", tmp_path / "model-elsewhere"
    model.mkdir()
    elsewhere.mkdir()
    (elsewhere / "member.skops").write_bytes(b"x")
    (model / "real.skops").write_bytes(b"x")
    os.symlink(elsewhere / "member.skops", model / "file.skops")
    os.symlink(elsewhere, model / "members")
    os.symlink("../model-elsewhere", model / "relative")
    os.symlink("real.skops", model / "within.skops")
    os.symlink("loop.skops", model / "loop.skops")
    folder = Folder(prefix + str(model))
    for name in ("file.skops", "members/member.skops", "relative/member.skops"):
        with pytest.raises(StorageError, match="is a link that leads to"):
            check_inside(name, folder)
    assert check_inside("within.skops", folder) == "within.skops"
    assert check_inside("real.skops", folder) == "real.skops"
    check_inside("loop.skops", folder)  # nobody can read it


def test_a_folder_may_itself_be_reached_by_a_link(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "member.skops").write_bytes(b"x")
    os.symlink(tmp_path / "model", tmp_path / "current")
    assert check_inside("member.skops", Folder(str(tmp_path / "current"))) == "member.skops"


def test_a_name_stands_in_a_manifest_once(tmp_path):
    folder = Folder(str(tmp_path))
    assert check_names(["a.npz", "b/a.npz"], folder) == ["a.npz", "b/a.npz"]
    with pytest.raises(StorageError, match=r"altered_manifest.*'a\.npz' twice"):
        check_names(["a.npz", "b.npz", "a.npz"], folder)
    with pytest.raises(StorageError, match="name_outside_folder"):
        check_names(["a.npz", "../b.npz"], folder)
