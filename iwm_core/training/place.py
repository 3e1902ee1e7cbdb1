"""The rank of this process among those that train one trial together. Imports no torch.

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; SLURM's srun sets SLURM_PROCID,
SLURM_STEP_NUM_TASKS and SLURM_LOCALID. SLURM_NTASKS is not read: a shell inside an allocation has it too, without an
srun that starts the other ranks. Ranks of one SLURM step meet at MASTER_ADDR, if that is set, else at the first host of
the node list, and at a port made of the job's id and its start, so that neither another job on the node nor an earlier
start of the same job uses it.
"""

import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from iwm_core.config import TrainConfig
from iwm_core.errors import ConfigError

PORTS = range(20_000, 30_000)
"""Below the ports that Linux assigns to outgoing connections."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Rank `rank` of `ranks`, the `local_rank`-th of its node; they meet at `host`:`port`.

    `agent`: torchrun, not the first rank, hosts the store there. `round` counts the starts of the same ranks.
    """

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    host: str = ""
    port: int = 0
    agent: bool = False
    round: str = "0"

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> "Place":
        """The place that torchrun or srun gave this process; a single one where neither did."""
        if int(environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in environ:
            return _of_torchrun(environ)
        interactive = "SLURM_PTY_PORT" in environ  # `srun --pty bash`: the shell's commands are no ranks
        if int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environ and not interactive:
            return _of_srun(environ)
        return cls()


def _of_torchrun(environ: Mapping[str, str]) -> Place:
    return Place(
        rank=int(environ["RANK"]),
        ranks=int(environ["WORLD_SIZE"]),
        local_rank=int(environ.get("LOCAL_RANK", "0")),
        host=environ.get("MASTER_ADDR", "127.0.0.1"),
        port=int(environ.get("MASTER_PORT", "29500")),
        agent=environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        round=environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def _of_srun(environ: Mapping[str, str]) -> Place:
    restart = environ.get("SLURM_RESTART_COUNT", "0")
    start = int(environ.get("SLURM_JOB_ID", "0")) + 1009 * int(restart)
    return Place(
        rank=int(environ["SLURM_PROCID"]),
        ranks=int(environ["SLURM_STEP_NUM_TASKS"]),
        local_rank=int(environ.get("SLURM_LOCALID", "0")),
        host=environ.get("MASTER_ADDR") or first_host(environ.get("SLURM_JOB_NODELIST", "127.0.0.1")),
        port=int(environ.get("MASTER_PORT") or PORTS[start % len(PORTS)]),
        round=restart,
    )


def first_host(node_list: str) -> str:
    """`gpu[07-09,12],login` -> `gpu07`."""
    return next(iter(node_names(node_list)), node_list)


def node_names(node_list: str) -> list[str]:
    """SLURM's list of nodes, one by one: `gpu[07-09,12],login` -> gpu07, gpu08, gpu09, gpu12, login."""
    names = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", node_list):
        pieces = re.split(r"\[([^\]]*)\]", part)  # the pieces with odd indices were in brackets
        choices = [numbers(piece) if place % 2 else [piece] for place, piece in enumerate(pieces)]
        names += ["".join(each) for each in itertools.product(*choices)]
    return names


def numbers(text: str) -> list[str]:
    """SLURM's ranges of numbers, one by one, as wide as they are written: `07-09,12` -> 07, 08, 09, 12."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", text)
    return [f"{n:0{len(first)}}" for first, last in ranges for n in range(int(first), int(last or first) + 1)]


def check_batch(train: TrainConfig, *, ranks: int) -> None:
    """Check that the batch splits equally over ranks and micro-batches.

    Raises:
        ConfigError: it does not; the message names a valid multiple.
    """
    parts = ranks * train.accumulate
    if train.accumulate < 1 or train.batch_size % parts:
        where = f"{ranks} rank(s) x train.accumulate={train.accumulate}"
        why = f"cannot be split equally over {where}: choose a multiple of {max(1, parts)}"
        raise ConfigError.wrong("train.batch_size", train.batch_size, why)
