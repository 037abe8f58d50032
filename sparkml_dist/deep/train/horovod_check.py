"""Checks that a rank's Horovod and GPUs support the requested reduction; for ranks only."""

from __future__ import annotations

import logging
import sys

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.deep.backend.with_horovod import hvd, tf
from sparkml_dist.errors import ConfigurationError, ResourceError

__all__ = ["REDUCTIONS", "check_horovod"]

_logger = logging.getLogger(__name__)

REDUCTIONS = ("auto", "gloo", "nccl")

_BUILD = "Build it with sparkml-dist build-horovod --gpu on every worker, or use reduction 'auto'."


def check_horovod(context: RankContext, reduction: str = "auto") -> str:
    """Return the transport of gradients: ``"nccl"`` between GPUs, ``"gloo"`` between CPUs.

    Call it before ``hvd.init``, which fails later and with a less useful message.

    Parameters
    ----------
    context : RankContext
        The rank's place and its GPUs.
    reduction : {"auto", "gloo", "nccl"}, default="auto"
        ``"nccl"`` raises unless NCCL can be used. ``"auto"`` uses NCCL if the rank owns a GPU that
        TensorFlow sees and Horovod was built with NCCL; otherwise tensors are reduced on the CPU,
        copied from a GPU if necessary. ``"gloo"`` hides the GPUs from TensorFlow, so that
        everything runs on the CPU.

    Returns
    -------
    str

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    ResourceError
        ``horovod_without_gloo``, ``horovod_without_nccl``, ``gpu_missing``, ``gpu_shared``.
    """
    if reduction not in REDUCTIONS:
        raise ConfigurationError(
            "invalid_param",
            f"reduction must be one of {', '.join(REDUCTIONS)}. Got {reduction!r}.",
        )
    where = f"rank {context.rank} on {_host(context)} ({sys.executable})"
    if not hvd.gloo_built():
        raise ResourceError(
            "horovod_without_gloo",
            f"Horovod of {where} was built without Gloo, which a gang needs.",
            "Build it with sparkml-dist build-horovod.",
        )
    if reduction == "gloo":
        tf.config.set_visible_devices([], "GPU")
        return "gloo"
    visible = tf.config.list_physical_devices("GPU")
    if not visible:
        if reduction == "nccl":
            raise ResourceError("gpu_missing", _missing(context, where), _gpu_hint(context))
        if context.gpus:
            _logger.warning("%s It trains on the CPU.", _missing(context, where))
        return "gloo"
    if not hvd.nccl_built():
        if reduction == "nccl":
            raise ResourceError(
                "horovod_without_nccl", f"Horovod of {where} was built without NCCL.", _BUILD
            )
        _logger.warning(
            "Horovod of %s was built without NCCL: gradients are copied from the GPU and reduced "
            "on the CPU. %s",
            where,
            _BUILD,
        )
        return "gloo"
    if context.gpu_shared:
        raise ResourceError(
            "gpu_shared",
            f"The GPU {', '.join(context.gpus)} of {where} is shared with another rank, which "
            "NCCL does not allow.",
            "Set spark.task.resource.gpu.amount to 1, or reduction to 'gloo'.",
        )
    return "nccl"


def _host(context: RankContext) -> str:
    return context.hosts[context.rank] if context.hosts else "this host"


def _missing(context: RankContext, where: str) -> str:
    if context.gpus:
        return f"TensorFlow of {where} does not see GPU {', '.join(context.gpus)} of its task."
    return f"The task of {where} owns no GPU."


def _gpu_hint(context: RankContext) -> str:
    if context.gpus:
        return "Check nvidia-smi there, and that TensorFlow was installed with CUDA. " + _BUILD
    return (
        "Assign a GPU to each task: spark.task.resource.gpu.amount=1, "
        "spark.executor.resource.gpu.amount "
        "and a discovery script (see spark-defaults.conf)."
    )
