"""Structure learning: one algorithm in each file, over counts or over scores of families."""
