"""The folder of binned rows: deleted at the end, and those of killed ranks with it."""

from __future__ import annotations

import os
import subprocess
import sys

from sparkml_dist.boosting.cache_folder import cache_folder


def test_it_is_deleted_and_so_are_those_of_processes_that_have_ended(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path},/elsewhere")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"sparkml_dist-boosting-{ended.pid}-x"
    ours = tmp_path / f"sparkml_dist-boosting-{os.getpid()}-y"
    for folder in (left, ours):
        folder.mkdir()
    with cache_folder() as folder:
        assert os.path.dirname(folder) == str(tmp_path)
        assert not left.exists() and ours.exists()
    assert not os.path.exists(folder)
    assert ours.exists()
