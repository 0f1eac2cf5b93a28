"""Whether encoders fit a device, told before anything is exported, copied or bought."""
