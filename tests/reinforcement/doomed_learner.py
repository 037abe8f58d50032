"""A learner of transitions whose rank dies at an update; imports no TensorFlow."""

from __future__ import annotations

import os
import signal
from typing import Any

from sparkml_dist.reinforcement.networks.build import build_learner


def doomed_learner(
    spec: Any, *, marker: str, input_shape: Any, normalization: Any, total_steps: int
) -> Any:
    """Return the library's learner; rank 1 is killed after its seventh update, once."""
    model = build_learner(
        spec, input_shape=input_shape, normalization=normalization, total_steps=total_steps
    )
    after, updates = model.after_update, [0]

    def dying() -> None:
        after()
        updates[0] += 1
        if updates[0] == 7 and os.environ["HOROVOD_RANK"] == "1" and not os.path.exists(marker):
            with open(marker, "w"):
                pass
            os.kill(os.getpid(), signal.SIGKILL)

    model.after_update = dying
    model.run_eagerly = True
    return model
