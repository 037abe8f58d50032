"""Tables in files of several formats, read as typed DataFrames."""
