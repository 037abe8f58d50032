"""scikit-learn learners as bytes: skops format, an allow-list of types, no pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from sparkml_dist.errors import ResourceError, StorageError, TrainingError
from sparkml_dist.persistence.packed_trees import packed, unpacked
from sparkml_dist.persistence.skops_archive import check_learner_archive
from sparkml_dist.persistence.soundness import check_learner

__all__ = ["TRUSTED_TYPES", "dump_learner", "load_learner"]

# Types of scikit-learn's own that skops does not trust by default, found by dumping every
# classifier of scikit-learn after a fit, with the variants that change what is stored. Compiled
# trees and plain parameters only: none runs code of the file's choosing when it is loaded.
TRUSTED_TYPES = frozenset(
    {
        # Histogram boosting on categories keeps a partial of check_array. A partial calls what it
        # names only, and what it names must be on a list as well.
        "functools.partial",
        "numpy.dtype",
        "scipy.sparse._csr.csr_matrix",  # what neighbours of sparse data are kept in
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
        "sparkml_dist.persistence.packed_trees.PackedTrees",
    }
)

_EPOCH = (1980, 1, 1, 0, 0, 0)


def dump_learner(learner: Any, *, trusted: Sequence[str] = ()) -> bytes:
    """Return a fitted learner in skops format, the same bytes for the same learner.

    Parameters
    ----------
    learner : object
        A scikit-learn estimator.
    trusted : sequence of str
        Dotted names of types to allow beside `TRUSTED_TYPES`.

    Returns
    -------
    bytes

    Raises
    ------
    TrainingError
        ``untrusted_type`` when what is written could not be loaded again, or ``not_storable``.
    """
    import skops.io

    try:
        content = skops.io.dumps(packed(learner))
    except Exception as error:
        raise TrainingError(
            "not_storable",
            f"skops cannot store {type(learner).__name__}: {error}.",
            "Use a learner made of scikit-learn's parts.",
        ) from error
    unknown = _untrusted(content, trusted)
    if unknown:
        raise TrainingError(
            "untrusted_type",
            f"{type(learner).__name__} contains types that are not on the allow-list: "
            f"{', '.join(unknown)}.",
            "If you trust them, name them in trustedTypes (--trusted-types).",
        )
    return _canonical(content)


def load_learner(content: bytes, where: str, *, trusted: Sequence[str] = ()) -> Any:
    """Return the learner in `content`.

    Parameters
    ----------
    content : bytes
        What `dump_learner` returned.
    where : str
        The file's location, for messages.
    trusted : sequence of str
        Dotted names of types to allow beside `TRUSTED_TYPES`.

    Raises
    ------
    StorageError
        ``damaged_member`` or ``untrusted_type``; nothing of an untrusted type is constructed.
    ResourceError
        ``out_of_memory``.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = TRUSTED_TYPES | set(trusted)
    try:
        check_learner_archive(content, allowed)
        loaded = skops.io.loads(content, trusted=sorted(allowed))
        check_learner(loaded)
        return unpacked(loaded)
    except UntrustedTypesFoundException as error:
        unknown = _untrusted(content, trusted)
        raise StorageError(
            "untrusted_type",
            f"{where!r} contains types that are not on the allow-list: {', '.join(unknown)}.",
            "Load it with trusted=[…] naming them only if you trust where the file comes from.",
        ) from error
    except MemoryError as error:
        raise ResourceError(
            "out_of_memory",
            f"{where!r} ({len(content):,} bytes) does not fit the memory that is left here.",
            "Give workers more memory, or let a model have less of its members in memory at once: "
            "setMemoryPerTask.",
        ) from error
    except Exception as error:
        raise StorageError(
            "damaged_member",
            f"{where!r} cannot be loaded: {type(error).__name__}: {error}.",
            "It was cut or altered, or written with another version of scikit-learn (see "
            "manifest.json); restore it or fit the model anew.",
        ) from error


def _untrusted(content: bytes, trusted: Iterable[str]) -> list[str]:
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(data=content)) - TRUSTED_TYPES - set(trusted))


def _canonical(content: bytes) -> bytes:
    """Return a skops archive without what differs from run to run.

    skops names things by their address in memory and the archive keeps the time; numbered in
    the order of their first mention instead, equal learners give equal bytes, so that a hash can
    tell whether a run that was repeated ended with the same model.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        schema = json.loads(source.read("schema.json"))
        numbers: dict[str, int] = {}

        def number(identity: Any) -> int:
            return numbers.setdefault(str(identity), len(numbers) + 1)

        def renumber(node: Any) -> None:
            if isinstance(node, dict):
                if "__id__" in node:
                    node["__id__"] = number(node["__id__"])
                if isinstance(node.get("file"), str):
                    stem, _, suffix = node["file"].partition(".")
                    node["file"] = f"{number(stem)}.{suffix}"
                for value in node.values():
                    renumber(value)
            elif isinstance(node, list):
                for value in node:
                    renumber(value)

        renumber(schema)
        files: dict[str, bytes] = {}
        for name in source.namelist():
            if name != "schema.json":
                stem, _, suffix = name.partition(".")
                files[f"{number(stem)}.{suffix}"] = source.read(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
        text = json.dumps(schema)
        target.writestr(zipfile.ZipInfo("schema.json", _EPOCH), text)
    return out.getvalue()
