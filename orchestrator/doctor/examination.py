"""The whole examination, in the order in which a sweep meets things."""

from collections.abc import Callable, Iterable

from orchestrator.doctor.finding import Finding, Report, Verdict
from orchestrator.doctor.folder import examine_folder
from orchestrator.doctor.packages import examine_packages
from orchestrator.doctor.partitions import CanaryRequest
from orchestrator.doctor.reach import examine_reach
from orchestrator.doctor.site import Ask, examine_site
from orchestrator.host import slurm
from orchestrator.records.layout import Layout


def examine(
    layout: Layout,
    *,
    request: CanaryRequest | None = None,
    ask: Ask = slurm.run,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Everything about this host, this site and this root; starts no job without a request, and leaves nothing behind.

    Raises:
        RequestError, ConfigError: a request for no such partition, or with overrides that mean nothing.
    """
    send = _canaries(layout, request, ask=ask, say=say) if request else list
    say("looking at packages")
    packages = examine_packages()
    say("asking SLURM")
    site = examine_site(ask)
    has_slurm = not any(one.name == "SLURM" and one.verdict is Verdict.NOT_THERE for one in site)
    say(f"trying {layout.root}")
    folder = examine_folder(layout.root, shared=has_slurm)
    return Report((*packages, *site, *folder, *examine_reach(layout), *send()))


def _canaries(
    layout: Layout, request: CanaryRequest, *, ask: Ask, say: Callable[[str], None]
) -> Callable[[], Iterable[Finding]]:
    """What sends them, once they are known to be possible. Hydra is loaded here, not to look at a site."""
    from orchestrator.doctor import canary

    prepared = canary.prepare(request, ask=ask)
    return lambda: canary.send_all(layout, prepared, wait_s=request.wait_s, say=say)
