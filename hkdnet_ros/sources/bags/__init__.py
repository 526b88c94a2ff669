"""Bags of ROS 2 and ROS 1, read without ROS, whole or broken off."""
