"""What the linear probe says about semantics, as sentences. Pure.

    beats     the probe p is above the same probe on a random encoder r by more than 2 sqrt((p (1 - p) + r (1 - r)) / n)
    supported in every cell; else no sentence about semantics is

[OURS] Two standard errors of the difference of two accuracies on n = 500 test images; tests that have more are judged
with care.
"""

import math
from collections.abc import Iterator
from statistics import fmean

from dashboards.ablation import Table
from dashboards.verdict import Finding, Kind
from dashboards.wording import counted

PROBES = {
    "linear_probe_top1": ("The linear probe", "random_probe_top1"),
    "linear_probe_tokens_top1": ("The linear probe on all tokens", "random_probe_tokens_top1"),
}
PIXELS = "pixel_probe_top1"
IMAGES = 500


def probe_findings(table: Table) -> Iterator[Finding]:
    """One sentence per probe that stands beside its random encoder."""
    for probe, (name, reference) in PROBES.items():
        known = [(cell.mean(probe), cell.mean(reference), cell.mean(PIXELS)) for cell in table.cells]
        pairs = [(value, random) for value, random, _ in known if value is not None and random is not None]
        if pairs:
            yield _against_random(pairs, name=name, pixels=[pixel for *_, pixel in known if pixel is not None])


def margin(value: float, reference: float) -> float:
    """How far two accuracies have to be apart."""
    return 2 * math.sqrt((value * (1 - value) + reference * (1 - reference)) / IMAGES)


def _against_random(pairs: list[tuple[float, float]], *, name: str, pixels: list[float]) -> Finding:
    mean, random = (fmean(column) for column in zip(*pairs, strict=True))
    beaten = [value for value, bottom in pairs if value - bottom > margin(value, bottom)]
    beside = f"; pixels alone give {fmean(pixels):.2f}" if pixels else ""
    figures = f"({mean:.2f} against {random:.2f} on average over {counted(len(pairs), 'cell')}{beside})"
    if len(beaten) == len(pairs):
        return Finding(Kind.SUPPORTED, f"{name} beats the random encoder in every cell {figures}.")
    if beaten:
        text = f"{name} beats the random encoder in {len(beaten)} of {len(pairs)} cells only {figures}: no conclusion."
    else:
        text = (
            f"{name} does not beat the random encoder {figures}: "
            "nothing about semantics can be concluded at this budget."
        )
    return Finding(Kind.UNSUPPORTED, text)
