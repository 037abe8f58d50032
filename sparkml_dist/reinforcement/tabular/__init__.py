"""Policies over a finite number of states: exact from counts, or step by step along the log."""
