"""The engine that runs the student on numpy images, and its back ends."""
