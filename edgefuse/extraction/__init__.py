"""Running the encoders over a data set."""
