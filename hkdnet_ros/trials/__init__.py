"""The real node run in a process of its own, and what comes out of it judged."""
