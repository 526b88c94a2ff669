"""A recording or the simulator as camera topics."""
