"""Embedding tables that are too large for one rank: each rank holds some of the rows."""
