"""The colours of pictures and pages."""

from __future__ import annotations

__all__ = ["COLOURS"]

# Okabe and Ito (2008), "Color Universal Design": distinguishable for colour-blind readers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
