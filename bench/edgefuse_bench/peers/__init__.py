"""The same encoder run by other libraries, each in a process of its own, in one run with edgefuse's engines."""
