"""Image-fusion quality measures: arrays in, numbers out."""
