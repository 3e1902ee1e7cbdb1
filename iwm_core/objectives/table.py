"""The table of objectives, and the networks of a trial."""

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.objectives import requirements
from iwm_core.objectives.ijepa import IJEPA
from iwm_core.objectives.iwm import IWM
from iwm_core.objectives.objective import Networks, Objective
from iwm_core.objectives.vicreg import VICREG
from iwm_core.randomness import torch_seed
from iwm_core.tensors import seeded

OBJECTIVES: dict[str, Objective] = {
    "iwm": IWM,
    "ijepa": IJEPA,
    "vicreg": VICREG,
}


def of(config: TrialConfig) -> Objective:
    """The objective that `config.objective.kind` names.

    Raises:
        ConfigError: an unknown kind.
    """
    kind = config.objective.kind
    if kind not in OBJECTIVES:
        raise ConfigError.unknown("objective", kind, choices=OBJECTIVES, setting="objective.kind")
    return OBJECTIVES[kind]


def build(config: TrialConfig) -> Networks:
    """Build the networks on the CPU. A pure function of the configuration; keeps the global random state.

    Raises:
        ConfigError: incompatible sizes or settings, or an unknown objective or conditioning.
    """
    requirements.check(config)
    with seeded(torch_seed(config.seed, "weights")):
        return of(config).networks(config)
