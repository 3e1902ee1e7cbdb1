"""The algebra of a sweep's axes: bundles are multiplied, exclusions subtracted. Pure.

    points = { p in B_1 x B_2 x ... x B_n :  no exclusion matches p }

A bundle B is one axis, or several that move together (zipped): its rows give a value for each of its keys. A
conditional bundle applies only to the points that its `when` matches; elsewhere it adds nothing, so a point holds no
axis that means nothing to it. The last bundle varies fastest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from orchestrator.errors import OverrideError
from orchestrator.trial.sweep import Scalar

Point = dict[str, Scalar]
Pattern = Mapping[str, tuple[Scalar, ...]]
"""For each key, the values that match."""

POINTS_MAX = 100_000
SEED = ("seed",)


@dataclass(frozen=True)
class Bundle:
    """Axes that move together, one row of values per step; most bundles have one key."""

    keys: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    when: Pattern = field(default_factory=dict)

    @classmethod
    def axis(cls, key: str, values: Iterable[Scalar], *, when: Pattern | None = None) -> "Bundle":
        """A bundle of one key."""
        return cls((key,), tuple((value,) for value in values), when or {})

    def steps(self, point: Point) -> list[Point]:
        """What the bundle adds to `point`: its rows, or nothing where `when` does not hold."""
        return [dict(zip(self.keys, row, strict=True)) for row in self.rows] if matches(self.when, point) else [{}]


@dataclass(frozen=True)
class Design:
    """Bundles in the order of their variation, and what is left out."""

    bundles: tuple[Bundle, ...] = ()
    exclude: tuple[Pattern, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every axis once, in order."""
        return tuple(dict.fromkeys(key for bundle in self.bundles for key in bundle.keys))


def points(design: Design) -> Iterator[Point]:
    """Every point of the design, the last bundle varying fastest.

    Raises:
        OverrideError: more than `POINTS_MAX` points, or two conditional bundles that both set one axis of a point.
    """
    grown: list[Point] = [{}]
    for bundle in design.bundles:
        steps = (_joined(point, step) for point in grown for step in bundle.steps(point))
        grown = list(islice(steps, POINTS_MAX + 1))
        if len(grown) > POINTS_MAX:
            raise OverrideError(f"the axes give more than {POINTS_MAX:,} trials; use fewer values")
    return (point for point in grown if not any(matches(pattern, point) for pattern in design.exclude))


def with_axis(design: Design, key: str, values: Sequence[Scalar]) -> Design:
    """The design with these values of `key`: instead of those it had, or as one more axis (before `seed` and whatever
    is conditional). Of zipped axes, the rows with these values stay.

    Raises:
        OverrideError: a value of a zipped axis that is in no row, so that nothing is known to go with it.
    """
    if key not in design.keys:
        return replace(design, bundles=_inserted(design.bundles, Bundle.axis(key, values)))
    return replace(design, bundles=tuple(_narrowed(bundle, key, values) for bundle in design.bundles))


def matches(pattern: Pattern, point: Mapping[str, Scalar]) -> bool:
    """Every key of the pattern is in the point, with one of its values. The empty pattern matches everything."""
    return all(key in point and among(point[key], values) for key, values in pattern.items())


def among(value: Scalar, values: Iterable[Scalar]) -> bool:
    """1 is 1.0, but 1 is not true."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _joined(point: Point, step: Point) -> Point:
    twice = point.keys() & step.keys()
    if twice:
        raise OverrideError(f"two conditional axes both set '{min(twice)}' where {spelled(point)}")
    return point | step


def spelled(point: Mapping[str, Scalar]) -> str:
    """`a=1 b=none`, for people."""
    return " ".join(f"{key}={value}" for key, value in point.items())


def _inserted(bundles: tuple[Bundle, ...], new: Bundle) -> tuple[Bundle, ...]:
    """`new` before the first conditional bundle and `seed`; a new `seed` last."""
    late = [at for at, bundle in enumerate(bundles) if bundle.when or bundle.keys == SEED]
    at = late[0] if late and new.keys != SEED else len(bundles)
    return (*bundles[:at], new, *bundles[at:])


def _narrowed(bundle: Bundle, key: str, values: Sequence[Scalar]) -> Bundle:
    if key not in bundle.keys:
        return bundle
    if bundle.keys == (key,):
        return replace(bundle, rows=tuple((value,) for value in values))
    column = [row[bundle.keys.index(key)] for row in bundle.rows]
    alone = [value for value in values if not among(value, column)]
    if alone:
        others = ", ".join(f"'{other}'" for other in bundle.keys if other != key)
        raise OverrideError(
            f"'{key}' moves together with {others}: choose from {', '.join(map(str, column))}, not {alone[0]}"
        )
    kept = (row for row, value in zip(bundle.rows, column, strict=True) if among(value, values))
    return replace(bundle, rows=tuple(kept))
