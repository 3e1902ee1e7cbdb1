"""What can go wrong in the core.

    CoreError (ValueError)
    |-- ConfigError        a setting, or two settings together, that cannot work
    |-- DataError          images or labels that cannot be read
    |-- CheckpointError    no usable checkpoint where one is needed
    |-- NonFiniteLossError the loss became NaN or infinite; the batch was kept
    `-- DeviceMemoryError  the device has no memory left

Every message is one or two plain sentences: what, where, what came, what is valid.
"""


class CoreError(ValueError):
    """Base of every error that a user of the core can cause."""


class ConfigError(CoreError):
    """A setting, or two settings together, that cannot work."""


class DataError(CoreError):
    """Images or labels that cannot be read."""


class CheckpointError(CoreError):
    """No usable checkpoint where one is needed."""


class NonFiniteLossError(CoreError):
    """The loss became NaN or infinite."""


class DeviceMemoryError(CoreError):
    """The device has no memory left for what was asked."""
