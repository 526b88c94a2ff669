"""Estimates how a thermal and a visible camera stand to each other, from targets or from what both see anyway."""
