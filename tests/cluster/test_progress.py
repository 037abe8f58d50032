"""Progress bars are for those who watch."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from sparkml_dist.cluster.progress import _someone_watches


def test_a_notebook_watches(monkeypatch):
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert _someone_watches()


def test_a_log_file_does_not_even_where_a_notebook_is_installed():
    pytest.importorskip("ipykernel")
    code = (
        "import IPython, ipykernel\n"  # as PySpark does
        "from sparkml_dist.cluster.progress import _someone_watches\n"
        "print(_someone_watches())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
