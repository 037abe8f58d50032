"""Bags of rows and features: bagging, pasting, subspaces, patches, and pasting of small votes."""
