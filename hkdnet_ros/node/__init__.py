"""ROS 2 on top: the only layer that imports rclpy and message_filters."""
