"""What those make of a result who take the fused images on: detectors, trackers and odometry."""
