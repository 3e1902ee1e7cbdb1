"""The errors of the core.

    CoreError (ValueError)
    |-- ConfigError        a setting, or a combination of settings, that cannot work
    |-- DataError          images or labels that cannot be read
    |-- CheckpointError    no usable checkpoint where one is needed
    |-- NonFiniteLossError the loss became NaN or infinite; the batch was kept
    `-- DeviceMemoryError  the device is out of memory

Every message states in one or two sentences what is wrong, where, the value and what is valid. Programs read the same
from the error's attributes: see `DetailedError`.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self


def plain(value: object) -> str:
    """Return a setting's value as a user types it: `true`, `0.1`."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


class DetailedError(Exception):
    """An error with a message for people and attributes for programs.

    Attributes:
        setting: The wrong setting, option or kind of name, such as `predictor.depth`; empty: none.
        value: The wrong value.
        choices: The valid values, if they can be listed.
        path: The file or folder concerned.
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
            what: The kind of name, in the reader's terms.
            value: The unknown name.
            choices: The valid names.
            setting: The setting, if `what` is not its name.
            more: What else is valid, appended to the message.
            shown: The value as the message shows it, if not as given.
        """
        listed = tuple(map(str, choices))
        near = difflib.get_close_matches(str(value), listed, n=1, cutoff=0.75)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        message = f"unknown {what} '{shown or value}'{hint}; choose from {', '.join(listed) or 'none'}{more}"
        return cls(message, setting=setting or what, value=value, choices=listed)

    @classmethod
    def wrong(cls, setting: str, value: object, why: str, *, choices: Iterable[object] = ()) -> Self:
        """`<setting>=<value> <why>`, for a value that is wrong and not merely unknown."""
        return cls(f"{setting}={plain(value)} {why}", setting=setting, value=value, choices=choices)


class CoreError(DetailedError, ValueError):
    """Base of every error that a user of the core can cause."""


class ConfigError(CoreError):
    """A setting, or a combination of settings, that cannot work."""


class DataError(CoreError):
    """Images or labels that cannot be read."""


class CheckpointError(CoreError):
    """No usable checkpoint where one is needed."""


class NonFiniteLossError(CoreError):
    """The loss became NaN or infinite."""


class DeviceMemoryError(CoreError):
    """The device is out of memory."""
