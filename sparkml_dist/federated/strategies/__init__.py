"""Strategies of federated learning, one to a file: what silos and coordinator do."""
