"""Reads tables in files of several formats as typed DataFrames."""
