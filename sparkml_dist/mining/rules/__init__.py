"""Association rules: generated from itemsets, judged, pruned, applied to baskets."""
