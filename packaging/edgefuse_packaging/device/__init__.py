"""What runs on the device before edgefuse is there: a shell that finds Python, and Python's standard library."""
