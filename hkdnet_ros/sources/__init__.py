"""Recordings, folders, videos and the simulator as two camera streams, and what writes such files."""
