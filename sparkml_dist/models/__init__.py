"""What estimators and models of all kinds share."""
