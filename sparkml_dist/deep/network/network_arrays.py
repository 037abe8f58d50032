"""From a batch of rows to what a network and its loss take; imports no TensorFlow."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.input.batches import Batch
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.network.output_facts import OutputFacts

__all__ = ["network_arrays"]


def network_arrays(batch: Batch, job: TrainingJob, facts: Any) -> tuple[Any, Any]:
    """Return what the network takes and what its loss takes.

    Parameters
    ----------
    batch : Batch
        With the arrays that the job gathers.
    job : TrainingJob
    facts : NetworkFacts or OutputFacts
        Of the job's network.
    """
    x = batch.x
    if not isinstance(facts, OutputFacts):
        return x, facts.encode(batch.y, job.target.n_classes)
    columns = {}
    if parts := [p for p in job.target.parts if p.columns]:
        assert isinstance(x, dict)
        columns = {p.output or facts.outputs[0].name: x[p.name] for p in parts}
        names = [p.name for p in job.inputs.parts]
        x = x[names[0]] if job.inputs.is_single else {name: x[name] for name in names}
    return x, facts.targets(batch.y, columns, job.target.n_classes)
