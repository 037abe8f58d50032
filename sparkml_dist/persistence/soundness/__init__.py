"""Checks the indices in a loaded learner before compiled code uses them."""

from sparkml_dist.persistence.soundness.check import check_learner

__all__ = ["check_learner"]
