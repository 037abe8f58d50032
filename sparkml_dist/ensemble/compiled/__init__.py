"""Members asked in other ways: as an ONNX graph, and trees without ceremony."""
