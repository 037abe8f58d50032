"""A fitted classifier with calibrators behind it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.calibration.calibrators import Calibration
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile
from sparkml_dist.scoring import Predict, Scorer, streams, within
from sparkml_dist.shard_model import load_model

__all__ = ["CalibratedClassificationModel", "CalibratedScorer", "keep_base"]

BASE = "base"


@dataclass(frozen=True)
class CalibratedScorer:
    """Another scorer's probabilities, calibrated; see `sparkml_dist.scoring.Scorer`.

    Attributes
    ----------
    base : Scorer
    calibration : Calibration
    """

    base: Scorer
    calibration: Calibration

    @property
    def cache_key(self) -> str:
        """Changes with the model and with every number of its calibrators."""
        text = f"{self.base.cache_key}/{json.dumps(self.calibration.to_dict())}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """``rawPrediction`` is the probability."""
        return 1.0

    @property
    def streams(self) -> bool:
        """Whether members are read anew for each block."""
        return streams(self.base)

    def within(self, memory: int) -> CalibratedScorer:
        """Return the scorer with at most so many bytes of members in memory at once."""
        return replace(self, base=within(self.base, memory))

    def load(self) -> Predict:
        """Return a function from features (n, d) to calibrated probabilities (n, n_classes)."""
        base, calibration = self.base.load(), self.calibration

        def predict(X: Matrix) -> Any:
            return calibration(base(X))

        return predict


class CalibratedClassificationModel(ShardClassificationModel):
    """A classifier whose probabilities are calibrated.

    The prediction is the class that is most probable after the calibration.

    Attributes
    ----------
    calibration : Calibration
        The curves.
    base : ShardClassificationModel
        The model whose probabilities they correct; its files lie in ``base/``.
    """

    @property
    def calibration(self) -> Calibration:
        """The calibrators."""
        return Calibration.from_dict(self.content["calibration"])

    @property
    def base(self) -> Any:
        """The model that is calibrated."""
        if "_base" not in vars(self):
            self._base = load_model(self.folder.child(BASE).location, trusted=self.trusted)
        return self._base

    def _scorer(self) -> CalibratedScorer:
        return CalibratedScorer(self.base._scorer(), self.calibration)

    def _target(self) -> str:
        return f"{self.content['calibration']['method']} over {self.content['base']}, " + (
            super()._target()
        )


def keep_base(base: ShardClassificationModel, folder: Folder) -> list[ModelFile]:
    """Keep a fitted model in the subfolder of another; return its files as that one's.

    Parameters
    ----------
    base : ShardClassificationModel
    folder : Folder
        The folder of the model that is to hold it.
    """
    home = folder.child(BASE)
    if base.folder != home:
        for file in base.files:
            base.folder.copy_file_to(file.name, home)
        base._write_manifest(home)
    files = [ModelFile(f"{BASE}/{f.name}", f.bytes, f.sha256) for f in base.files]
    return [*files, ModelFile.of(folder, f"{BASE}/{MANIFEST}")]
