"""The node at work on a recording, as pictures, a video and figures."""
