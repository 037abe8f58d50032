"""Calibration of class probabilities, fitted out of core."""
