"""The report of `benchmarks/gpu.py`: outcomes and rows to JSON and Markdown. Pure.

A share of the measured peak is FLOP/s over what the card reaches in a large bf16 product (the part `peak`); MFU is over
the data sheet's figure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.speed import cases

State = Literal["running", "done", "failed", "out of time", "interrupted", "no time left"]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a part; `said` is the end of what it printed, where it did not end well."""

    part: str
    state: State
    command: str
    box_s: float = 0
    seconds: float = 0
    rows: int = 0
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure that is aimed at; None where nothing measured it. `floor` is the least that was hoped for."""

    what: str
    measured: float | None
    goal: float
    floor: float | None = None
    at_most: bool = False  # the goal is not to be exceeded; otherwise it is to be reached
    unit: Literal["share", "times", "a step"] = "share"

    @property
    def verdict(self) -> str:
        """Held, or missed and by how much of the goal."""
        if self.measured is None:
            return "not measured"
        if self._holds(self.goal):
            return "held"
        by = f" by {abs(self.measured / self.goal - 1):.0%}" if self.goal else ""
        return f"missed{by}" + (", floor held" if self.floor is not None and self._holds(self.floor) else "")

    def _holds(self, limit: float) -> bool:
        assert self.measured is not None
        return self.measured <= limit if self.at_most else self.measured >= limit

    def shown(self, value: float | None) -> str:
        """A value in the target's unit."""
        if value is None:
            return "-"
        return {"share": f"{value:.1%}", "times": f"x {value:.2f}", "a step": f"{value:g} a step"}[self.unit]


def targets(rows: Sequence[Row]) -> list[Target]:
    """Every target, with what these rows say of it."""
    steps = [row for row in rows if row["part"] == "step" and row.get("contender") == "iwm"]
    found = [
        Target(
            what=f"{size}, {shape}: share of the measured peak, {words}",
            measured=_most(_peak_share(row, rows) for row in _of(steps, size, shape, counts)),
            goal=goal,
            floor=floor,
        )
        for size, shape, goal, floor in (("ViT-B/16", "18x384", 0.35, 0.25), ("ViT-L/16", "36x512", 0.45, None))
        for counts, words in (("109 to 84", "the paper's context"), ("59 to 87", "30 % context"))
    ]
    found.append(
        Target(
            what="ViT-B/16, 18x384, from JPEG files: share of the measured peak, loading included",
            measured=_most(_loaded_share(rows)),
            goal=0.35,
            floor=0.25,
        )
    )
    photometric = [row.get("draw_share") for row in steps if "224 px" in row["case"]]
    found.append(
        Target(what="views and masks, share of the step", measured=_most(photometric), goal=0.05, at_most=True)
    )
    waits = [row.get("host_waits_per_step") for row in steps]
    found.append(Target(what="waits of the host", measured=_most(waits), goal=0, at_most=True, unit="a step"))
    for size in ("ViT-B/16", "ViT-L/16"):
        beside = [row for row in steps if row["case"].startswith(size) and row.get("images_ratio")]
        images, flops = (_most(row.get(name) for row in beside) for name in ("images_ratio", "flops_ratio"))
        found.append(
            Target(what=f"{size}: images/s of official I-JEPA's step", measured=images, goal=1.6, unit="times")
        )
        found.append(Target(what=f"{size}: FLOP/s of official I-JEPA's step", measured=flops, goal=1.2, unit="times"))
    return found


def measured_peak(rows: Sequence[Row]) -> float | None:
    """FLOP/s that the card reached in a large bf16 product."""
    found = [row["value"] * 1e12 for row in rows if row["part"] == "peak" and row["what"].startswith("bf16")]
    return found[-1] if found else None


def _of(steps: Sequence[Row], size: str, shape: str, counts: str) -> list[Row]:
    return [row for row in steps if row["case"].startswith(f"{size}, {shape},") and f", {counts}," in row["case"]]


def _peak_share(row: Row, rows: Sequence[Row]) -> float | None:
    peak = measured_peak(rows)
    return row["gflops_per_s"] * 1e9 / peak if peak and "gflops_per_s" in row else None


def _loaded_share(rows: Sequence[Row]) -> list[float]:
    """Of the step that the pipeline feeds, by the images per second of the whole."""
    peak, fed = measured_peak(rows), cases.PIPELINE["cuda"].name
    gflops = next(
        (row["gflops_per_image"] for row in rows if row.get("case") == fed and "gflops_per_image" in row), None
    )
    whole = [row for row in rows if row["part"] == "pipeline" and row["stage"].startswith("whole")]
    return [row["images_per_s"] * gflops * 1e9 / peak for row in whole] if peak and gflops else []


def _most(values: Any) -> float | None:
    return max((value for value in values if value is not None), default=None)


def as_json(conditions: Mapping[str, str], *, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> str:
    """One document: conditions, parts, targets, rows."""
    aims = [{**asdict(target), "verdict": target.verdict} for target in targets(rows)]
    parts = [asdict(outcome) for outcome in outcomes]
    return json.dumps({"conditions": conditions, "parts": parts, "targets": aims, "rows": list(rows)}, indent=1)


def as_markdown(conditions: Mapping[str, str], *, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> str:
    """The same for a person."""
    lines = [f"# {conditions['device']}", "", ", ".join(f"{key} {value}" for key, value in conditions.items()), ""]
    lines += _table(["part", "what became of it", "seconds", "time box, s", "rows"], [
        [each.part, each.state, f"{each.seconds:.0f}", f"{each.box_s:.0f}", each.rows] for each in outcomes
    ])  # fmt: skip
    lines += ["", "## Targets", ""]
    lines += _table(["target", "goal", "measured", "verdict"], [
        [aim.what, ("at most " if aim.at_most else "") + aim.shown(aim.goal), aim.shown(aim.measured), aim.verdict]
        for aim in targets(rows)
    ])  # fmt: skip
    for outcome in outcomes:
        lines += ["", f"## {outcome.part}", "", *([f"    {outcome.command}", ""] if outcome.command else [])]
        own = [
            {key: value for key, value in row.items() if key != "part"} for row in rows if row["part"] == outcome.part
        ]
        lines += _rows(own) if own else ["Nothing was measured."]
        if outcome.said:
            lines += ["", "It printed at last:", "", "```text", *outcome.said.splitlines(), "```"]
    return "\n".join(lines) + "\n"


def _rows(rows: Sequence[Row]) -> list[str]:
    """A table of rows, without the columns that are empty in all of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = [name for name in names if any(row.get(name) not in (None, "", {}) for row in rows)]
    return _table(
        [name.replace("_", " ") for name in shown], [[_cell(row.get(name)) for name in shown] for row in rows]
    )


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value).replace("|", "\\|")


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> list[str]:
    return [_line(head), "|" + "---|" * len(head), *map(_line, body)]


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"
