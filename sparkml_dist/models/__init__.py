"""Base classes of all estimators and models: fitting, scoring, saving, and hand-over to Python."""
