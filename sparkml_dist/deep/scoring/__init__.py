"""Scores of networks on executors."""
