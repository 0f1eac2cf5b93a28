"""From pretrained weights to files a small device can run (workshop only)."""
