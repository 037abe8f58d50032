"""Plots of fits and scores, as SVG or PNG files."""
