"""What the store does to Spark's writing."""

from __future__ import annotations

import subprocess

import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.parquet import write_parquet


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk(spark, small_disk):
    df = spark.range(1_000_000).selectExpr("id", "rand() AS x")
    with pytest.raises(StorageError, match="disk_full") as caught:
        write_parquet(df, Folder.at(small_disk / "t"))
    assert caught.value.hint and "No space left" in caught.value.message


def test_a_disk_that_is_read_only(spark, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StorageError):
        write_parquet(spark.range(3), Folder.at(small_disk / "t"))
    with pytest.raises(StorageError, match="read_only"):
        Folder.at(small_disk / "t").create()


def test_a_path_through_a_file_and_one_that_is_taken(spark, tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "t", tmp_path):
        with pytest.raises(StorageError) as caught:
            write_parquet(spark.range(3), Folder.at(place))
        assert caught.value.hint


def test_what_a_task_says_itself_is_not_taken_for_the_disks(spark, tmp_path):
    def fail(batches):
        from sparkml_dist.errors import DataError

        raise DataError("a_code", "File name too long, so to speak.")

    with pytest.raises(Exception, match="a_code") as caught:
        write_parquet(spark.range(3).mapInArrow(fail, "id long"), Folder.at(tmp_path / "t"))
    assert not isinstance(caught.value, StorageError)
