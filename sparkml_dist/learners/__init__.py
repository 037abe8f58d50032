"""Learners with scikit-learn's interface: what they accept, and how one is prepared and fitted."""
