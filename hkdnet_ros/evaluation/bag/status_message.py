"""The definition of hkdnet_ros/msg/FusionStatus for bags that are written without ROS; a test holds it to msg/."""

FUSION_STATUS = """\
std_msgs/Header header
string mode
builtin_interfaces/Duration skew
builtin_interfaces/Duration age
float32 misalignment
string[] stages
float32[] stage_latencies
uint64 thermal_received
uint64 visible_received
uint64 pairs
uint64 published
string[] drop_reasons
uint64[] drop_counts
string model
uint8 scale
string device
string precision
"""
