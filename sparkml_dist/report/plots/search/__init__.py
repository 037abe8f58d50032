"""Plots of a search: what was tried, how it went, and what mattered."""
