"""Metrics in one distributed pass, and plots that can be read."""
