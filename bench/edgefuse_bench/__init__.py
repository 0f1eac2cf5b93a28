"""What a kit costs on the device it runs on."""
