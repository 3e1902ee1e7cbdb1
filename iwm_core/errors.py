"""What can go wrong in the core.

    CoreError (ValueError)
    |-- ConfigError        a setting, or two settings together, that cannot work
    |-- DataError          images or labels that cannot be read
    |-- CheckpointError    no usable checkpoint where one is needed
    |-- NonFiniteLossError the loss became NaN or infinite; the batch was kept
    `-- DeviceMemoryError  the device has no memory left

Every message is one or two plain sentences: what, where, what came, what is valid. Programs read the same from the
error's attributes, see `DetailedError`.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self


class DetailedError(Exception):
    """A message for people, and what it is about for programs.

    Attributes:
        setting: The setting, option or name's kind that was wrong, such as `predictor.depth`; empty: none.
        value: What came.
        choices: What would have been valid, where that is a list.
        path: The file or folder that it is about.
    """

    def __init__(
        self,
        message: str = "",
        *,
        setting: str = "",
        value: object = None,
        choices: Iterable[object] = (),
        path: Path | str | None = None,
    ) -> None:
        super().__init__(message)
        self.setting, self.value = setting, value
        self.choices = tuple(map(str, choices))
        self.path = Path(path) if path is not None else None

    @classmethod
    def unknown(
        cls, what: str, value: object, *, choices: Iterable[object], setting: str = "", more: str = "", shown: str = ""
    ) -> Self:
        """`unknown <what> '<value>' (did you mean ...?); choose from ...`

        Args:
            what: What kind of name it is, as a reader calls it.
            value: The name that came.
            choices: The names there are.
            setting: Where `what` is no setting's name: the setting.
            more: What else is valid, in words.
            shown: The value as it is to be shown, where it cannot be shown as it came.
        """
        listed = tuple(map(str, choices))
        near = difflib.get_close_matches(str(value), listed, n=1, cutoff=0.75)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        message = f"unknown {what} '{shown or value}'{hint}; choose from {', '.join(listed) or 'none'}{more}"
        return cls(message, setting=setting or what, value=value, choices=listed)


class CoreError(DetailedError, ValueError):
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
