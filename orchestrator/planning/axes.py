"""The algebra of a sweep's axes: bundles are multiplied, then exclusions are removed. Pure.

    points = { p in B_1 x B_2 x ... x B_n :  no exclusion matches p }

A bundle B is one axis, or several that move together (zipped): each row has a value for each of its keys. A
conditional bundle applies only to the points that its `when` matches and adds nothing to the others. The last bundle
varies fastest.
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
    """Axes that move together, one row of values at a time; most bundles have one key."""

    keys: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    when: Pattern = field(default_factory=dict)

    @classmethod
    def axis(cls, key: str, values: Iterable[Scalar], *, when: Pattern | None = None) -> "Bundle":
        """A bundle of one key."""
        return cls((key,), tuple((value,) for value in values), when or {})

    def steps(self, point: Point) -> list[Point]:
        """Return the rows that the bundle adds to `point`, or one empty step if `when` does not match."""
        return [dict(zip(self.keys, row, strict=True)) for row in self.rows] if matches(self.when, point) else [{}]


@dataclass(frozen=True)
class Design:
    """Bundles, the slowest first, and the patterns of points to leave out."""

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
            raise OverrideError(f"the axes give more than {POINTS_MAX:,} trials; use fewer values", setting="axes")
    return (point for point in grown if not any(matches(pattern, point) for pattern in design.exclude))


def with_axis(design: Design, key: str, values: Sequence[Scalar]) -> Design:
    """The design with these values of `key`, which replace its values or become a new axis before `seed` and the
    conditional axes. Zipped axes keep the rows with these values.

    Raises:
        OverrideError: a value of a zipped axis that is in none of its rows.
    """
    if key not in design.keys:
        return replace(design, bundles=_inserted(design.bundles, Bundle.axis(key, values)))
    return replace(design, bundles=tuple(_narrowed(bundle, key, values) for bundle in design.bundles))


def matches(pattern: Pattern, point: Mapping[str, Scalar]) -> bool:
    """Return True if the point has one of the values of every key. The empty pattern matches every point."""
    return all(key in point and among(point[key], values) for key, values in pattern.items())


def among(value: Scalar, values: Iterable[Scalar]) -> bool:
    """Return True if the value is one of `values`; 1 equals 1.0, but not True."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _joined(point: Point, step: Point) -> Point:
    twice = point.keys() & step.keys()
    if twice:
        key = min(twice)
        raise OverrideError(f"two conditional axes set '{key}' for {spelled(point)}", setting=key)
    return point | step


def spelled(point: Mapping[str, Scalar]) -> str:
    """`a=1 b=none`, for people."""
    return " ".join(f"{key}={value}" for key, value in point.items())


def _inserted(bundles: tuple[Bundle, ...], new: Bundle) -> tuple[Bundle, ...]:
    """Adds `new` before the first conditional bundle and `seed`; a new `seed` comes last."""
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
        valid = ", ".join(map(str, column))
        message = f"'{key}' is zipped with {others}: choose from {valid}, not {alone[0]}"
        raise OverrideError(message, setting=key, value=alone[0], choices=column)
    kept = (row for row, value in zip(bundle.rows, column, strict=True) if among(value, values))
    return replace(bundle, rows=tuple(kept))
