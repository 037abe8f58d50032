"""XGBoost's, LightGBM's and CatBoost's learners at rest: their own formats inside skops files."""
