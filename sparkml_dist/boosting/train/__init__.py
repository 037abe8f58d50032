"""The training in a rank; its modules import XGBoost."""
