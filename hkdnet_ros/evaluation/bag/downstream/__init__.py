"""Recordings through the node's own core: measured, written, reported and shown."""
