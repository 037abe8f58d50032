"""Stacking and blending: learners of different kinds, and one that combines them."""
