"""Field kits: their files, their manifest, which one is in use."""
