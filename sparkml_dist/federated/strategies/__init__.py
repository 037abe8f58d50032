"""Strategies of federated learning, one to a file: what silos do in a round, and what of it is made."""
