"""Live environments of gymnasium: many of them as Spark tasks that send back transitions."""
