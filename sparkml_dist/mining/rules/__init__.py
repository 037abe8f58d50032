"""Association rules: generated from itemsets, measured, tested, pruned, applied to baskets."""
