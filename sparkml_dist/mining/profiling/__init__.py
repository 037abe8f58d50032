"""Profiles of tables, column by column, and drift between two tables."""
