"""`iwm doctor`: check whether this host or cluster can run sweeps; one finding per line, with what to do about it.

finding.py      Finding, its verdict, a report of findings      [pure]
machine.py      Python, torch and its devices, the root's file system, the database and MLflow
site.py         SLURM: controller, accounting, settings; whether sbatch accepts a job
partitions.py   nodes and partitions                            [pure]
canary.py       a real trial through a real partition, preempted twice
verify_resume.py, twins.py   `iwm verify-resume`: interrupted and uninterrupted runs, compared bit by bit
"""

from collections.abc import Callable

from orchestrator.doctor.finding import Finding, Report, Verdict
from orchestrator.doctor.machine import examine_folder, examine_packages, examine_services
from orchestrator.doctor.partitions import CanaryRequest
from orchestrator.doctor.site import Ask, examine_site
from orchestrator.host import slurm
from orchestrator.records.layout import Layout

__all__ = ["CanaryRequest", "Finding", "Report", "Verdict", "examine"]


def examine(
    layout: Layout,
    *,
    request: CanaryRequest | None = None,
    ask: Ask = slurm.run,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Examines this host, its SLURM and this root; starts no job without a request, and leaves nothing behind.

    Raises:
        RequestError, ConfigError: the request has an unknown partition or invalid overrides.
    """
    canary, cells = None, []
    if request:
        from orchestrator.doctor import canary  # it loads Hydra, which the checks do not need

        cells = canary.prepare(request, ask=ask)
    say("checking packages")
    packages = examine_packages()
    say("asking SLURM")
    site = examine_site(ask)
    has_slurm = not any(one.name == "SLURM" and one.verdict is Verdict.NOT_THERE for one in site)
    say(f"trying {layout.root}")
    found = [*packages, *site, *examine_folder(layout.root, shared=has_slurm), *examine_services(layout)]
    if canary and request:
        found += canary.send_all(layout, cells, wait_s=request.wait_s, say=say)
    return Report(tuple(found))
