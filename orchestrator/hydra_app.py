"""The second entrance: Hydra's own command line, launchers and sweepers for the same trials.

    python -m orchestrator.hydra_app -m hydra/launcher=submitit_slurm conditioning=none,feature

Hydra composes the tree of `sweeps/` as `expand` does, and both make the same trials, so each entrance reuses what the
other has finished. The root is IWM_ROOT (default ./runs); Hydra writes into its folder `hydra`.
"""

import atexit
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from iwm_core.errors import CoreError
from orchestrator.errors import IwmError, OverrideError, RequestError
from orchestrator.launching.batch import GUARD, gpus_per_node, options, setup_lines, words
from orchestrator.launching.foreground import EXECUTOR, GPUS_SEEN, in_a_slot, job_around, run_cell
from orchestrator.launching.leases import new_token
from orchestrator.planning import limits
from orchestrator.planning.catalogue import PACKAGED, Catalogue
from orchestrator.planning.composition import RESOURCES, Builder, Tree, part
from orchestrator.records.layout import Layout
from orchestrator.trial.sweep import Cell, Resources
from orchestrator.trial.value import Trial

ROOT = "IWM_ROOT"
PRIMARY = "iwm"
"""The name of Hydra's primary configuration; no file has it, so that none in ./sweeps can replace it."""
JOB_NAME = "iwm"
LAUNCHERS = ("slurm", "local")
"""The files of sweeps/hydra/launcher; Hydra's plugin calls them `submitit_slurm` and `submitit_local`."""
MANY = 1000
"""Array tasks at once, if `resources.max_parallel` sets no limit."""


def main() -> None:
    """`python -m orchestrator.hydra_app [--multirun] [OVERRIDE...]`"""
    root = Layout.of(os.environ.get(ROOT) or "runs").root
    Plugins.instance().register(OwnSweeps)
    store = ConfigStore.instance().store
    store(name=PRIMARY, node=primary(root, environ=os.environ))
    for name in LAUNCHERS:  # instead of the plugin's own of the same name
        store(group="hydra/launcher", name=f"submitit_{name}", node={"defaults": [name]})
    OmegaConf.register_new_resolver("iwm.job", _launcher_parameter, replace=True)
    hydra.main(version_base="1.3", config_path=str(PACKAGED), config_name=PRIMARY)(task)()


def primary(root: Path, *, environ: Mapping[str, str]) -> dict[str, Any]:
    """The packaged config.yaml with Hydra's folders under the root; jobs receive the root and the visible GPUs."""
    seen = {GPUS_SEEN: environ["CUDA_VISIBLE_DEVICES"]} if "CUDA_VISIBLE_DEVICES" in environ else {}
    settings = {
        "run": {"dir": f"{root}/hydra/runs/${{now:%Y-%m-%d}}/${{now:%H-%M-%S-%f}}"},
        "sweep": {"dir": f"{root}/hydra/multiruns/${{now:%Y-%m-%d}}/${{now:%H-%M-%S-%f}}"},
        "job": {"name": JOB_NAME, "env_set": {ROOT: str(root), **seen}},
    }
    return {**cast(Tree, OmegaConf.to_container(OmegaConf.load(PACKAGED / "config.yaml"))), "hydra": settings}


class OwnSweeps(SearchPathPlugin):
    """Searches ./sweeps before the packaged folder, as every verb does."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra."""
        for folder in Catalogue.of(None).folders:
            if folder != PACKAGED:
                search_path.prepend(provider="own", path=f"file://{folder}", anchor="main")


def task(config: DictConfig) -> dict[str, float]:
    """Runs one trial for Hydra and returns its final metrics; empty if it runs elsewhere."""
    with _reporting_errors():
        layout, cell, job = Layout.of(os.environ[ROOT]), cell_of(config), job_around()
        if os.environ.get(EXECUTOR) == "local":
            number = HydraConfig.get().job.num
            job = in_a_slot(layout, job, number=number, resources=cell.resources, environ=os.environ)
        return run_cell(layout, cell, job=job)


def cell_of(config: DictConfig) -> Cell:
    """The trial and the resources that Hydra composed.

    Raises:
        OverrideError: a setting has no value.
        ConfigError: a setting is invalid.
    """
    settings, resources = Builder().build(_resolved(config))
    limits.check(settings, resources)
    return Cell(Trial(settings), {}, resources)


def _resolved(config: DictConfig) -> Tree:
    try:
        return cast(Tree, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise OverrideError(f"a setting has no value: {str(error).splitlines()[0]}") from error


def launcher_parameters(resources: Resources) -> dict[str, Any]:
    """The parameters of Hydra's SLURM launcher.

    Raises:
        RequestError: this launcher does not support a setting.
    """
    for key, plain in (("python", ""), ("trials_per_gpu", 1)):
        if (value := getattr(resources, key)) != plain:
            message = f"Hydra's launcher does not support resources.{key}; use: iwm submit --launcher slurm"
            raise RequestError(message, setting=f"resources.{key}", value=value)
    gpus, optional = gpus_per_node(resources), ("partition", "qos", "account", "constraint", "exclude", "mem_gb")
    return {
        **{key: getattr(resources, key) or None for key in optional},
        "timeout_min": resources.time_limit_min,
        "signal_delay_s": resources.signal_before_s,
        "nodes": resources.nodes,
        "gpus_per_node": gpus or None,
        "cpus_per_task": resources.cpus_per_gpu * max(1, gpus) or None,
        "array_parallelism": resources.max_parallel or MANY,
        "name": f"{JOB_NAME}-{_token()}",
        "setup": setup_lines(resources, token=_token()),
        "srun_args": [*words(resources.srun_args, key="srun_args"), *words(GUARD, key="srun_args")],
        "additional_parameters": {"requeue": True, **options(resources.sbatch_args)},
    }


@cache
def _token() -> str:
    """The fencing token of the jobs that this process submits."""
    return new_token()


def _launcher_parameter(key: str, *, _root_: DictConfig) -> Any:
    """Resolves `${iwm.job:partition}` in a launcher's file from the sweep's `resources`."""
    try:
        value = launcher_parameters(part(RESOURCES, _resolved(_root_[RESOURCES])))[key]
    except (IwmError, CoreError) as error:
        sys.exit(f"iwm: {error}")  # Hydra would print fifty lines for an exception
    return OmegaConf.create(value) if isinstance(value, list | dict) else value


@contextmanager
def _reporting_errors() -> Iterator[None]:
    """Reports errors without Hydra's traceback, and lets the job fail.

    Hydra passes a job's exception to the launching process and lets the job itself exit with 0.
    """
    try:
        yield
    except (IwmError, CoreError) as error:
        _fail_job()
        raise CompactHydraException(f"iwm: {error}") from error
    except Exception:
        _fail_job()
        raise


def _fail_job() -> None:
    if EXECUTOR in os.environ:
        atexit.register(_exit_as_failed)


def _exit_as_failed() -> None:
    """Runs at exit, after submitit has stored the exception."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    import_module("orchestrator.hydra_app").main()  # not __main__'s: a job finds `task` by its module's name
