"""Frequent, closed and maximal itemsets, for any number of baskets."""
