"""Read a sweep's YAML file.

    name: depth                                    # default: the file's name
    description: Does depth help?                  # one line, shown by listings
    overrides: [data=imagefolder, predictor=d12w384]  # hold for every trial, in Hydra's grammar
    axes:                                          # every combination; a key is a folder of the Hydra tree or a setting
      conditioning: [none, feature]
      predictor.depth: [2, 4]
    zipped:                                        # these move together: equally many values
      - {encoder: [small, base], optim.lr: [1e-3, 5e-4]}
    conditional:                                   # axes of some trials only; `when` names axes further up
      - when: {conditioning: feature}              # one value, or a list of them
        axes: {conditioning.layers: [1, 3]}
    exclude:                                       # trials that match every key of one entry are left out
      - {encoder: base, predictor.depth: 4}
    seeds: 3                                       # 0, 1, 2; or a list. `seed` is the last axis and varies fastest
    protocols:                                     # what is measured of each trained trial: `protocols.py`
      knn:
      random_predictor: [evaluate=predictor_finetune, tune.predictor=random]
      attentive: {overrides: [tune.steps=500], when: {conditioning: feature}}

Every key is optional. `expand` checks that the keys and values of axes exist in the Hydra tree.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import OverrideError
from orchestrator.planning.axes import Bundle, Design, Pattern
from orchestrator.planning.protocols import Protocol
from orchestrator.planning.yaml_lines import Page
from orchestrator.trial.sweep import Scalar

KEYS = ("name", "description", "overrides", "axes", "zipped", "conditional", "exclude", "seeds", "protocols")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
BYTES_MAX = 1_000_000
"""Of a file."""


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """The content of one file; `where` is its path."""

    where: str
    name: str
    description: str
    overrides: tuple[str, ...]
    design: Design
    protocols: tuple[Protocol, ...] = ()


def read(path: Path) -> SweepFile:
    """The sweep of one file.

    Raises:
        OverrideError: the file cannot be read or has other content than above; names file and line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)  # the file may have no end
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise OverrideError(f"cannot read the sweep {path}: {reason}", path=path) from error
    if len(raw) > BYTES_MAX:
        message = f"cannot read the sweep {path}: it has more than {BYTES_MAX:,} bytes"
        raise OverrideError(message, path=path, value=len(raw))
    return parse(text, where=str(path))


def parse(text: str, *, where: str) -> SweepFile:
    """The sweep in `text`; `where` is its file, for messages and the default name."""
    page = Page.of(text, where=where)
    raw = page.mapping((), known=KEYS)
    name = raw.get("name", Path(where).stem)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        page.fail(f"name {name!r} may contain only letters, digits, '_', '-' and '.'", "name")
    design = _design(page)
    return SweepFile(
        where=where,
        name=name,
        description=" ".join(str(raw.get("description") or "").split()),
        overrides=page.texts("overrides"),
        design=design,
        protocols=tuple(_protocol(page, label, design) for label in page.mapping(("protocols",))),
    )


def _design(page: Page) -> Design:
    bundles: list[Bundle] = []
    for key in page.mapping(("axes",)):
        bundles.append(Bundle.axis(_new(page, key, bundles, "axes"), page.values("axes", key)))
    for at in range(len(page.items("zipped"))):
        bundles.append(_zipped(page, at, bundles))
    for at in range(len(page.items("conditional"))):
        bundles += _conditional(page, at, bundles)
    if seeds := _seeds(page):
        bundles.append(Bundle.axis(_new(page, "seed", bundles, "seeds"), seeds))
    exclude = tuple(_pattern(page, ("exclude", at), bundles) for at in range(len(page.items("exclude"))))
    return Design(tuple(bundles), exclude)


def _zipped(page: Page, at: int, before: list[Bundle]) -> Bundle:
    keys = tuple(_new(page, key, before, "zipped", at) for key in page.mapping(("zipped", at)))
    columns = [page.values("zipped", at, key) for key in keys]
    if len(keys) < 2 or len({len(column) for column in columns}) != 1:
        lengths = ", ".join(f"{key} has {len(column)}" for key, column in zip(keys, columns, strict=True))
        page.fail(
            f"zipped axes need two keys or more with equally many values: {lengths or 'none given'}", "zipped", at
        )
    return Bundle(keys, tuple(zip(*columns, strict=True)))


def _conditional(page: Page, at: int, before: list[Bundle]) -> list[Bundle]:
    raw = page.mapping(("conditional", at), known=("when", "axes"))
    if not raw.get("when") or not raw.get("axes"):
        page.fail("a conditional entry needs 'when' and 'axes'", "conditional", at)
    when = _pattern(page, ("conditional", at, "when"), before)
    always = [bundle for bundle in before if not bundle.when]
    here = ("conditional", at, "axes")
    return [
        Bundle.axis(_new(page, key, always, *here), page.values(*here, key), when=when) for key in page.mapping(here)
    ]


def _protocol(page: Page, label: str, design: Design) -> Protocol:
    """An entry is empty, a list of overrides, or a mapping with `overrides` and `when`."""
    here = ("protocols", label)
    if not NAME.fullmatch(label):
        page.fail(f"the label {label!r} may contain only letters, digits, '_', '-' and '.'", *here)
    if not isinstance(page.at(*here), Mapping):
        return Protocol(label, page.texts(*here))
    known = page.mapping(here, known=("overrides", "when"))
    whens = [(*here, "when", at) for at in range(len(known["when"]))] if isinstance(known.get("when"), list) else []
    whens = whens or ([(*here, "when")] if known.get("when") else [])
    return Protocol(label, page.texts(*here, "overrides"), tuple(_pattern(page, at, design.bundles) for at in whens))


def _pattern(page: Page, path: tuple[str | int, ...], bundles: Sequence[Bundle]) -> Pattern:
    axes = Design(tuple(bundles)).keys
    pattern = page.mapping(path)
    for key in pattern:
        if key not in axes:
            page.fail(f"'{key}' is not an axis here; the axes are {', '.join(axes) or 'none'}", *path, key)
    return {key: page.values(*path, key) if isinstance(value, list) else (value,) for key, value in pattern.items()}


def _seeds(page: Page) -> tuple[Scalar, ...]:
    raw = page.raw.get("seeds")
    if raw is None:
        return ()
    seeds = list(range(raw)) if type(raw) is int else raw
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        page.fail(f"seeds must be a number of seeds (at least 1) or a list of whole numbers, not {raw!r}", "seeds")
    return tuple(seeds)


def _new(page: Page, key: str, before: list[Bundle], *path: str | int) -> str:
    if any(key in bundle.keys for bundle in before):
        page.fail(f"the axis '{key}' occurs twice", *path, key)
    return key
