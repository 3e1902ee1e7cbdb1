"""Every objective there is, and the networks of a trial."""

import torch

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.objectives import requirements
from iwm_core.objectives.ijepa import IJEPA
from iwm_core.objectives.iwm import IWM
from iwm_core.objectives.objective import Networks, Objective
from iwm_core.objectives.vicreg import VICREG
from iwm_core.randomness import torch_seed

OBJECTIVES: dict[str, Objective] = {
    "iwm": IWM,
    "ijepa": IJEPA,
    "vicreg": VICREG,
}


def of(config: TrialConfig) -> Objective:
    """The objective that `config.objective.kind` names.

    Raises:
        ConfigError: an unknown kind; it names the valid ones.
    """
    kind = config.objective.kind
    if kind not in OBJECTIVES:
        raise ConfigError.unknown("objective", kind, choices=OBJECTIVES, setting="objective.kind")
    return OBJECTIVES[kind]


def build(config: TrialConfig) -> Networks:
    """The networks on the CPU, a pure function of the configuration; the global random state is left as it was.

    Raises:
        ConfigError: sizes or settings that do not fit each other, or an unknown objective or conditioning.
    """
    requirements.check(config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_seed(config.seed, "weights"))
        return of(config).networks(config)
