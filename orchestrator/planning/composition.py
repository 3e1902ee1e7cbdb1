"""From a composed tree and a cell's settings to the cell's configuration, without Hydra. Pure, and fast.

    configuration = build(resolve(merge(tree, settings)))

`tree` is what Hydra composed from files, interpolations not resolved. Settings are dotted keys with plain values; Hydra
merges them in the same way at three hundred times the cost. A leaf such as `${encoder.heads}` is resolved here; any
other interpolation is left to `slowly` (OmegaConf), so that both give the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from types import NoneType
from typing import Any

from iwm_core.config import TrialConfig, from_dict
from orchestrator.trial.sweep import Resources, Scalar

Tree = Mapping[str, Any]

RESOURCES = "resources"
PLAIN_LINK = re.compile(r"\$\{([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?\}")
LINKS_MAX = 8
GROUPS = {key: type(group) for key, group in vars(TrialConfig()).items() if is_dataclass(group)}
GROUPS[RESOURCES] = Resources
SCALARS = {str, int, float, bool, NoneType}


def merge(tree: Tree, settings: Mapping[str, Scalar]) -> Tree:
    """The tree with these settings; unchanged groups are shared with it."""
    merged = dict(tree)
    for key, value in settings.items():
        group, _, name = key.partition(".")
        merged[group] = {**merged.get(group, {}), name: value} if name else value
    return merged


def resolve(tree: Tree, *, slowly: Callable[[Tree], Tree]) -> Tree:
    """The tree with interpolations resolved; groups without any are shared with it.

    `slowly` gets only the groups that need it and those that they refer to.
    """
    plain, hard = dict[str, Any](), set[str]()
    for group, content in tree.items():
        try:
            plain[group] = _resolved(content, tree=tree)
        except _NotPlainError:
            hard.add(group)
    found = slowly(_mentioned(hard, tree)) if hard else {}
    return {group: found[group] if group in hard else plain[group] for group in tree}


def _mentioned(groups: Iterable[str], tree: Tree) -> Tree:
    """These groups of the tree and, transitively, the groups that their interpolations refer to."""
    needed, todo = set[str](), list(groups)
    while todo:
        needed.add(group := todo.pop())
        content = tree[group]
        leaves = content.values() if isinstance(content, Mapping) else [content]
        words = {word for leaf in leaves if not _settled(leaf) for word in re.findall(r"\w+", str(leaf))}
        todo += [other for other in tree if other in words and other not in needed]
    return {group: content for group, content in tree.items() if group in needed}


class _NotPlainError(Exception):
    """An interpolation that is more than an absolute path to a value."""


def _resolved(content: Any, *, tree: Tree) -> Any:
    if not isinstance(content, Mapping):
        return content if _settled(content) else _follow(content, tree=tree)
    links = {name: value for name, value in content.items() if not _settled(value)}
    return {**content, **{name: _follow(link, tree=tree) for name, link in links.items()}} if links else content


def _settled(value: Any) -> bool:
    return type(value) in SCALARS and not (type(value) is str and ("${" in value or value == "???"))


def _follow(link: Any, *, tree: Tree) -> Scalar:
    """The value at the end of a chain of `${group.name}`."""
    for _ in range(LINKS_MAX):
        match = PLAIN_LINK.fullmatch(link) if isinstance(link, str) else None
        if match is None:
            break
        group, name = match.groups()
        content = tree.get(group, {})
        link = content if name is None else content.get(name, {}) if isinstance(content, Mapping) else None
        if _settled(link) and (name is None or isinstance(content, Mapping)):
            return link
    raise _NotPlainError


class Builder:
    """Builds configurations; equal groups of settings are built once and shared, since they are frozen."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, str], Any] = {}

    def build(self, tree: Tree) -> tuple[TrialConfig, Resources]:
        """The configuration of a resolved tree.

        Raises:
            ConfigError: an unknown setting, or a value that its field cannot hold.
        """
        parts = {key: self._part(key, content) for key, content in tree.items()}
        resources = parts.pop(RESOURCES, None) or Resources()
        return TrialConfig(**parts), resources

    def _part(self, key: str, content: Any) -> Any:
        known = (key, repr(content))  # repr, since 1, 1.0 and True are equal but not equally valid
        if known not in self._built:
            self._built[known] = part(key, content)
        return self._built[known]


def part(key: str, content: Any) -> Any:
    """The value of the field `key` of a trial, or its resources, with this content.

    Raises:
        ConfigError: as `iwm_core.config.from_dict`.
    """
    if key in GROUPS and isinstance(content, Mapping):
        return from_dict(GROUPS[key], content, where=f"{key}.")
    return getattr(from_dict(TrialConfig, {key: content}), key)


def check_value(key: str, value: Scalar) -> None:
    """Check that the setting `key` can hold a value; an interpolation is checked once it is resolved.

    Raises:
        ConfigError: it cannot.
    """
    if not (isinstance(value, str) and "${" in value):
        group, _, name = key.partition(".")
        part(group, {name: value} if name else value)


def value_of(config: TrialConfig, resources: Resources, key: str) -> Scalar:
    """The resolved value of a dotted setting."""
    group, _, name = key.partition(".")
    holder = resources if group == RESOURCES else getattr(config, group)
    return getattr(holder, name) if name else holder  # pyright: ignore[reportReturnType]
