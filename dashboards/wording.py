"""Names of axes, levels and metrics for readers, and numbers as text. Pure.

Text may hold `code` between backticks; names that users chose lose theirs, so that only we mark code.
"""

from collections.abc import Iterable, Mapping

from orchestrator.trial.sweep import Scalar, spelled

METRICS = {
    "mrr": "MRR",
    "mrr_floor": "floor",
    "mrr_patchwise": "patchwise MRR",
    "hit1": "H@1",
    "hit5": "H@5",
    "linear_probe_top1": "probe",
    "random_probe_top1": "random encoder",
    "linear_probe_tokens_top1": "token probe",
    "random_probe_tokens_top1": "token random",
    "pixel_probe_top1": "pixels",
    "target_std": "target std",
    "effective_rank": "effective rank",
    "online_mrr": "online MRR",
}
"""Short names, for the heading of a table."""

MORE = {
    "photometric.strength": "stronger augmentation",
    "predictor.depth": "a deeper predictor",
    "predictor.width": "a wider predictor",
    "encoder.depth": "a deeper encoder",
    "encoder.width": "a wider encoder",
    "train.steps": "longer training",
}
"""The meaning of a higher value on a numeric axis."""

MISSING = "–"
TEXT_MAX, NAME_MAX = 2_000, 120
"""The most characters of a text and of a name. Data keeps longer ones (`exact`)."""


def plain(text: object) -> str:
    """Foreign text on one line, without backticks and control characters."""
    words = " ".join(shortened(str(text), most=TEXT_MAX).replace("`", "'").split())
    return "".join(character for character in words if character.isprintable())


def shortened(text: str, *, most: int) -> str:
    """The text, or its two ends where it is longer than `most`: similar names differ at their ends."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def axis_name(axis: str) -> str:
    """`conditioning.kind` as `conditioning`, `predictor.depth` as `predictor depth`."""
    parts = axis.split(".")
    if len(parts) > 1 and parts[-1] == "kind":
        parts.pop()
    return shortened(plain(" ".join(parts).replace("_", " ")), most=NAME_MAX)


def level_name(level: Scalar) -> str:
    """A level as a user would type it, on one line."""
    return shortened(plain(exact(level)), most=NAME_MAX)


def exact(value: Scalar) -> str:
    """A value as a user would type it; a float by the shortest digits that round-trip."""
    return spelled(value)


def metric_name(metric: str) -> str:
    """A metric's short name; its key where it has none."""
    return METRICS.get(metric) or shortened(plain(metric), most=NAME_MAX)


def more_of(axis: str) -> str:
    """`stronger augmentation`, or `a higher <axis>`."""
    return MORE.get(axis, f"a higher {axis_name(axis)}")


def place_name(place: Mapping[str, Scalar]) -> str:
    """`photometric strength 1.0, predictor depth 2`."""
    return ", ".join(f"{axis_name(axis)} {level_name(level)}" for axis, level in place.items())


def number(value: float | None, *, digits: int = 3) -> str:
    """A value in a table; a dash where there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"


def signed(value: float, *, digits: int = 2) -> str:
    """A difference, never `-0.00`."""
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def counted(n: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(items: Iterable[str]) -> str:
    """`a, b and c`."""
    known = list(items)
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else "".join(known)


def capital(sentence: str) -> str:
    """The sentence with a capital letter at its start."""
    return sentence[:1].upper() + sentence[1:]
