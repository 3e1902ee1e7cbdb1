"""A trial is a value: a resolved scientific configuration and its id.

    id = first 16 hex digits of sha256(canonical JSON of {"config": what differs from the defaults, "id_version"})

Leaving defaults out keeps old ids when a field with a default is added. `ID_VERSION` is raised when a default or the
numerics change; the golden ids under tests/golden fail first. Partition, time limit, paths and logging are not part of
a trial, so the same configuration is the same trial in every sweep.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from iwm_core.config import TrialConfig, from_dict, non_defaults, to_dict

ID_VERSION = 1
ID_LENGTH = 16


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, shortest round-trip floats, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def trial_id(config: TrialConfig) -> str:
    """The id of the trial with this configuration."""
    identity = canonical_json({"config": non_defaults(config), "id_version": ID_VERSION})
    return hashlib.sha256(identity.encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class Trial:
    """A configuration with its id."""

    config: TrialConfig

    @cached_property
    def id(self) -> str:
        """16 hex digits."""
        return trial_id(self.config)

    def to_dict(self) -> dict[str, Any]:
        """The content of `trial.json`."""
        return {"id": self.id, "id_version": ID_VERSION, "config": to_dict(self.config)}

    @classmethod
    def from_json(cls, text: str | bytes) -> "Trial":
        """The trial of the text of a `trial.json`."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Trial":
        """The trial of a `trial.json`.

        Raises:
            ConfigError: a setting that this version does not have.
        """
        return cls(from_dict(TrialConfig, raw["config"]))
