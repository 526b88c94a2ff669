"""A procedural scene with known high-resolution truth, seen by a thermal and a visible camera."""
