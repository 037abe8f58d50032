"""How a builder is named, and what travels to the ranks."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys

import pytest

from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.deep.network.builder_spec import BuilderFile, resolve_builder
from sparkml_dist.deep.network.builders import cnn, mlp
from sparkml_dist.errors import ConfigurationError

FILE = """
FACTOR = 3
def helper(x): return x * FACTOR
def build(x): return helper(x)
"""


def test_names():
    assert resolve_builder("mlp") is mlp
    assert resolve_builder("cnn") is cnn
    assert resolve_builder(len) is len


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ("mpl", "unknown_builder", "mlp"),
        (7, "unknown_builder", "7"),
        ("nowhere.py:build", "builder_file_not_found", "nowhere.py"),
        ("{file}:biuld", "builder_not_found", "build"),
        ("{broken}:build", "builder_file_failed", "not valid Python"),
    ],
)
def test_refusals(tmp_path, spec, code, text):
    (tmp_path / "file.py").write_text(FILE)
    (tmp_path / "broken.py").write_text("def build(:")
    if isinstance(spec, str):
        spec = spec.format(file=tmp_path / "file.py", broken=tmp_path / "broken.py")
    with pytest.raises(ConfigurationError, match=text) as caught:
        resolve_builder(spec)
    assert caught.value.code == code


def test_a_file_travels_as_source_and_is_not_run_here(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("import no_such_package\n" + FILE)
    found = resolve_builder(f"{file}:build")
    assert isinstance(found, BuilderFile)
    with pytest.raises(ConfigurationError, match="no_such_package") as caught:
        pickle.loads(shipped(found)).load()
    assert caught.value.code == "builder_file_failed"

    file.write_text(FILE)
    found = resolve_builder(f"{file}:build")
    file.unlink()
    assert pickle.loads(shipped(found)).load()(5) == 15


def test_a_function_beside_a_script_travels_by_value(tmp_path, monkeypatch):
    (tmp_path / "neighbour.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    from neighbour import build

    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(x=5))"
    for function in (build, functools.partial(build, x=5)):
        (tmp_path / "build.pickle").write_bytes(shipped(function, function))
        output = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "build.pickle")],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )
        assert output.stdout.strip() == "15"


def test_what_is_installed_travels_by_name():
    assert pickle.loads(shipped(mlp, mlp)) is mlp
    assert len(shipped(mlp, mlp)) < 200
