"""From the workshop to a device without a network: wheels, installers, and the proof that they work."""
