"""Centres of Nyström's approximation: rows of a sample, chosen in several ways."""
