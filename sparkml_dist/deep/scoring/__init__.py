"""Scoring of networks on executors."""
