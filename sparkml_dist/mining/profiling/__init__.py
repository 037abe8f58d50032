"""What a table holds, column by column, and what changed between two tables."""
