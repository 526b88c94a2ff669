"""The package's errors: one root, a subclass per kind of cause, each message one line with the fact and the remedy."""


class HkdnetError(Exception):
    """Root of every error this package raises on purpose; the command line prints it without a traceback."""


class ConfigError(HkdnetError):
    """A setting has a wrong type, is out of range, or contradicts another."""


class CheckpointError(HkdnetError):
    """A weights file is missing, damaged, or does not fit the network it is loaded into."""


class ImageError(HkdnetError):
    """An image cannot be used: unknown encoding, wrong step or size, truncated data, NaN."""


class RegistrationError(HkdnetError):
    """Two images cannot be brought to one view: a calibration, transform or depth is missing or of something else."""


class SourceError(HkdnetError):
    """A recording or image file cannot be opened, read or written."""


class MissingDependencyError(HkdnetError):
    """A feature needs a package that is not installed here."""


class DeviceError(HkdnetError):
    """The device that computes ran out of memory or was lost."""


class OutOfMemoryError(DeviceError):
    """There is not enough memory for images of this size."""


class ProcessError(HkdnetError):
    """A process that a command started failed, ended early or did not answer."""
