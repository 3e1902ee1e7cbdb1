"""The whole examination, in the order in which a sweep meets things."""

from collections.abc import Callable

from orchestrator import slurm
from orchestrator.doctor.finding import Report, Verdict
from orchestrator.doctor.folder import examine_folder
from orchestrator.doctor.packages import examine_packages
from orchestrator.doctor.reach import examine_reach
from orchestrator.doctor.site import Ask, examine_site
from orchestrator.layout import Layout


def examine(layout: Layout, *, ask: Ask = slurm.run, say: Callable[[str], None] = lambda line: None) -> Report:
    """Everything about this host, this site and this root; starts no job and leaves nothing behind."""
    say("looking at packages")
    packages = examine_packages()
    say("asking SLURM")
    site = examine_site(ask)
    has_slurm = not any(one.name == "SLURM" and one.verdict is Verdict.NOT_THERE for one in site)
    say(f"trying {layout.root}")
    folder = examine_folder(layout.root, shared=has_slurm)
    return Report((*packages, *site, *folder, *examine_reach(layout)))
