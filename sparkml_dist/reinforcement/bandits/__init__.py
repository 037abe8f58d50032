"""Contextual bandits: policies for single decisions, from logs with or without propensities."""
