"""Params of the coupling of ranks in a step."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasCoupling"]

# Param of each setting.
_PARAMS = {
    "compression": "compression",
    "accumulation_steps": "accumulationSteps",
    "clip_norm": "clipNorm",
    "fusion_mb": "fusionMb",
    "cycle_ms": "cycleMs",
    "mixed_precision": "mixedPrecision",
    "learning_rate_scaling": "learningRateScaling",
    "warmup_epochs": "warmupEpochs",
    "transport": "transport",
}


class HasCoupling(AccessibleParams):
    """Params of the reduction and application of gradients; see `CouplingSettings`."""

    compression: Any = param(
        "compression",
        "'fp16' to send gradients between hosts in half precision, else 'none'",
        TypeConverters.toString,
    )
    accumulationSteps: Any = param(
        "accumulationSteps", "batches of each rank in one update (>= 1)", TypeConverters.toInt
    )
    clipNorm: Any = param(
        "clipNorm",
        "largest norm of all gradients together (> 0); no clipping when not set",
        TypeConverters.toFloat,
    )
    fusionMb: Any = param(
        "fusionMb",
        "MiB of gradients that Horovod sends at once (>= 0); its own default when not set",
        TypeConverters.toFloat,
    )
    cycleMs: Any = param(
        "cycleMs",
        "milliseconds for which Horovod gathers gradients (> 0); when not set 1, or 10 when they "
        "are summed in shared memory",
        TypeConverters.toFloat,
    )
    mixedPrecision: Any = param(
        "mixedPrecision",
        "type in which layers compute: 'bfloat16', 'float16', or 'none' for float32",
        TypeConverters.toString,
    )
    learningRateScaling: Any = param(
        "learningRateScaling",
        "scaling of the learning rate with the batches in an update: 'linear', 'sqrt' or 'none'",
        TypeConverters.toString,
    )
    warmupEpochs: Any = param(
        "warmupEpochs",
        "epochs over which the learning rate rises to its value (>= 0)",
        TypeConverters.toFloat,
    )
    transport: Any = param(
        "transport",
        "'auto' to sum gradients in shared memory when all ranks are on one host without GPUs, "
        "'horovod' to reduce them with Horovod in any case",
        TypeConverters.toString,
    )

    def _coupling(self) -> CouplingSettings:
        """Return the Params as settings.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        values = {setting: self._value(self.getParam(name)) for setting, name in _PARAMS.items()}
        return CouplingSettings(**values)
