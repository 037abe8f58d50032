"""What fitted ensembles and networks offer besides scoring."""

from __future__ import annotations

from sparkml_dist.metrics.partial_dependence import HasPartialDependence
from sparkml_dist.metrics.permutation import HasPermutationImportance
from sparkml_dist.metrics.score_curves import HasScoreCurves
from sparkml_dist.onnx.export import ExportsOnnx
from sparkml_dist.report.html_summary import HasHtmlSummary
from sparkml_dist.report.model_plot import HasPlot

__all__ = ["FittedModel"]


class FittedModel(
    ExportsOnnx,
    HasPermutationImportance,
    HasPartialDependence,
    HasScoreCurves,
    HasHtmlSummary,
    HasPlot,
):
    """Mixin of the fitted models: ONNX export, evaluation on other rows, HTML summary, picture."""
