"""Families of learners: each with its steps before, a space, and settings to begin with."""
