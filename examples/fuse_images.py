"""Fuse two image files that show the same view: ``python fuse_images.py THERMAL VISIBLE FUSED.png``."""

import sys

import cv2

from hkdnet_ros import fuse

thermal_path, visible_path, fused_path = sys.argv[1:]
thermal = cv2.imread(thermal_path, cv2.IMREAD_ANYDEPTH)  # gray, 8 bits or 16 bits of counts
visible = cv2.imread(visible_path, cv2.IMREAD_ANYCOLOR)  # gray, or blue, green, red
if thermal is None or visible is None:
    sys.exit(f"{visible_path if visible is None else thermal_path}: not a readable image")

fused = fuse(thermal, visible, scale=2)  # for many images, load the network once: see docs/python.md
cv2.imwrite(fused_path, fused)
print(f"{fused_path}: {fused.shape[1]}x{fused.shape[0]}")
