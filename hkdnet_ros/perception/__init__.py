"""The stages between camera frames and the fused frame: numpy and OpenCV, no ROS."""
