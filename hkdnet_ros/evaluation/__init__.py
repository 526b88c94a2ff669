"""Methods over images, video and simulated people, their measures and reports."""
