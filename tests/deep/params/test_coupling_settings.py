"""What a coupling may be told, and what Horovod is told of it."""

from __future__ import annotations

import pytest

from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "value", "spelling"),
    [
        ("compression", "fp8", "compression"),
        ("accumulation_steps", 0, "accumulationSteps"),
        ("accumulation_steps", 2.0, "accumulationSteps"),
        ("accumulation_steps", True, "accumulationSteps"),
        ("clip_norm", 0.0, "clipNorm"),
        ("clip_norm", float("inf"), "clipNorm"),
        ("fusion_mb", -1.0, "fusionMb"),
        ("cycle_ms", 0.0, "cycleMs"),
        ("mixed_precision", "fp16", "mixedPrecision"),
        ("learning_rate_scaling", "Linear", "learningRateScaling"),
        ("warmup_epochs", -0.5, "warmupEpochs"),
        ("warmup_epochs", None, "warmupEpochs"),
        ("transport", "mpi", "transport"),
    ],
)
def test_bad_settings_are_named_as_the_user_spells_them(name, value, spelling):
    with pytest.raises(ConfigurationError) as found:
        CouplingSettings(**{name: value})
    assert found.value.code == "invalid_param"
    assert f"{spelling} must be" in found.value.message
    assert repr(value) in found.value.message


def test_horovod_is_told_only_what_was_set():
    assert CouplingSettings().environment() == {}
    assert CouplingSettings(fusion_mb=0.5, cycle_ms=2).environment() == {
        "HOROVOD_FUSION_THRESHOLD": "524288",
        "HOROVOD_CYCLE_TIME": "2.0",
    }
