"""Property tests say whether an answer is right, not how soon it came: the machine may be busy."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
