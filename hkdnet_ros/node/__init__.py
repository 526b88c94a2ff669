"""ROS 2 on top: the only layer that imports rclpy, cv_bridge and message_filters."""
