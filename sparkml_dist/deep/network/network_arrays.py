"""Converts a batch to the inputs of a network and of its loss; imports no TensorFlow."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.input.batches import Batch
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.deep.network.output_facts import OutputFacts

__all__ = ["network_arrays"]


def network_arrays(batch: Batch, job: TrainingJob, facts: Any) -> tuple[Any, Any]:
    """Return the inputs of the network and of its loss.

    Parameters
    ----------
    batch : Batch
        A batch with the job's arrays.
    job : TrainingJob
    facts : NetworkFacts or OutputFacts
        Facts of the job's network.
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
