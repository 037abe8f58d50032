"""The image for executors, as far as it can be checked without Docker."""

from __future__ import annotations

import re
import subprocess

import pytest

from sparkml_dist.console.main import COMMANDS
from tests.console.commands import ROOT

IMAGE = (ROOT / "Dockerfile").read_text()
STEPS = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", IMAGE)).splitlines()


@pytest.mark.parametrize("step", [s for s in STEPS if s.startswith("RUN ")])
def test_the_steps_are_shell(step):
    subprocess.run(["sh", "-n", "-c", step.removeprefix("RUN ")], check=True)


def test_it_uses_commands_that_there_are():
    used = re.findall(r'sparkml-dist"?,? "?([a-z-]+)', "\n".join(STEPS))
    assert set(used) == {"build-horovod", "doctor"} <= set(COMMANDS)


def test_the_pins_are_those_of_the_lock():
    (command,) = re.findall(r"sed -nE '(.*)' requirements\.lock", "\n".join(STEPS))
    done = subprocess.run(
        ["sed", "-nE", command, ROOT / "requirements.lock"],
        capture_output=True,
        text=True,
        check=True,
    )
    lock = (ROOT / "requirements.lock").read_text()
    assert len(done.stdout.splitlines()) == len(re.findall(r"(?m)^[a-z]", lock))
    assert not re.search(r"[\\]|--hash", done.stdout)
