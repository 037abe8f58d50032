"""Scores of predictions, each computed in one distributed pass."""
