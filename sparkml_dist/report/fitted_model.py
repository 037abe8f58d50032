"""What fitted ensembles and networks offer besides scoring."""

from __future__ import annotations

from sparkml_dist.metrics.permutation import HasPermutationImportance
from sparkml_dist.onnx.export import ExportsOnnx
from sparkml_dist.report.html_summary import HasHtmlSummary

__all__ = ["FittedModel"]


class FittedModel(ExportsOnnx, HasPermutationImportance, HasHtmlSummary):
    """Mixin of the fitted models: ONNX export, permutation importance, HTML summary."""
