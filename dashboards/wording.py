"""What axes, levels and metrics are called in front of a reader. Pure.

Text may hold `code` between backticks; names that people chose lose theirs, so that the marks stay ours.
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
"""Short names, as a table's heading has room for."""

MORE = {
    "photometric.strength": "stronger augmentation",
    "predictor.depth": "a deeper predictor",
    "predictor.width": "a wider predictor",
    "encoder.depth": "a deeper encoder",
    "encoder.width": "a wider encoder",
    "train.steps": "longer training",
}
"""What going up a numeric axis means."""

MISSING = "–"
TEXT_MAX, NAME_MAX = 2_000, 120
"""Characters of a text and of a name that anybody reads. Data keeps what is longer (`exact`)."""


def plain(text: object) -> str:
    """Somebody else's words on one line, without our marks."""
    words = " ".join(shortened(str(text), most=TEXT_MAX).replace("`", "'").split())
    return "".join(character for character in words if character.isprintable())


def shortened(text: str, *, most: int) -> str:
    """The text, or its two ends where it is longer: names of one family differ there."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def axis_name(axis: str) -> str:
    """`conditioning.kind` as `conditioning`, `predictor.depth` as `predictor depth`."""
    parts = axis.split(".")
    if len(parts) > 1 and parts[-1] == "kind":
        parts.pop()
    return shortened(plain(" ".join(parts).replace("_", " ")), most=NAME_MAX)


def level_name(level: Scalar) -> str:
    """A level as it would be typed, on one line."""
    return shortened(plain(exact(level)), most=NAME_MAX)


def exact(value: Scalar) -> str:
    """A value as it would be typed; a float by the shortest digits that give it back."""
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
