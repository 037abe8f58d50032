"""Scores of predictions, each formed in one distributed pass."""
