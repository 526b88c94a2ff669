"""Recordings in and out, and offline work on them (no ROS install needed)."""
