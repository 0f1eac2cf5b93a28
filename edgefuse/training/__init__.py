"""Head training in numpy, in the workshop."""
