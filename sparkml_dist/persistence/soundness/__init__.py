"""What a loaded learner holds, checked before compiled code follows its indices."""

from sparkml_dist.persistence.soundness.check import check_learner

__all__ = ["check_learner"]
