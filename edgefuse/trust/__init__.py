"""Who may bring a kit: signatures by ssh keys, and the keys that this device trusts."""
