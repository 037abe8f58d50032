"""Networks whose files ask for more than a network: refused before Keras sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("crafted")
    done = subprocess.run(
        [sys.executable, "-m", "tests.deep.in_a_process_crafted", str(place)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_networks_of_every_kind_of_part_load(found):
    honest = {
        k: v for k, v in found.items() if not k.startswith("crafted") and k not in ("ran", "peak")
    }
    assert len(honest) == 9
    assert set(honest.values()) == {"loaded"}, honest


def test_crafted_networks_are_refused(found):
    crafted = {k: v for k, v in found.items() if k.startswith("crafted")}
    assert len(crafted) >= 30
    assert {k for k, v in crafted.items() if v != "network_not_loaded"} == set()


def test_nothing_ran_and_no_memory_was_taken(found):
    assert not found["ran"]
    assert found["peak"] < 2e9
