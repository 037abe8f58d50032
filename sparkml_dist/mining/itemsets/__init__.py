"""Frequent, closed and maximal itemsets of baskets of any number."""
