"""What fitted models of ensembles and networks offer beside scoring."""

from __future__ import annotations

from sparkml_dist.metrics.permutation import HasPermutationImportance
from sparkml_dist.onnx.export import ExportsOnnx
from sparkml_dist.report.html_summary import HasHtmlSummary

__all__ = ["FittedModel"]


class FittedModel(ExportsOnnx, HasPermutationImportance, HasHtmlSummary):
    """Mixin of the fitted models: export to ONNX, permutation importance, a summary as HTML."""
