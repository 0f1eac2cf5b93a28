"""The results log: every answer that was given on this device, kept until it is purged."""
