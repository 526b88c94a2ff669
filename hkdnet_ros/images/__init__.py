"""Images as arrays: frames, decoding, colour, resampling, camera model, files."""
