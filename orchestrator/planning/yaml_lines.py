"""A YAML document that knows the line of everything in it, so that an error can say where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from orchestrator.errors import OverrideError
from orchestrator.trial.sweep import Scalar


@dataclass(frozen=True)
class Page:
    """A YAML document that knows the line of everything in it."""

    where: str
    raw: Mapping[str, Any]
    root: yaml.Node | None

    @classmethod
    def of(cls, text: str, *, where: str) -> "Page":
        try:
            root = yaml.compose(text, Loader=_Loader)
            raw = yaml.load(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise OverrideError(f"{where}, line {line}: broken YAML: {error.problem or error.context}") from error
        except yaml.YAMLError as error:
            raise OverrideError(f"{where}: broken YAML: {str(error).splitlines()[0]}") from error
        return cls(where, raw if raw is not None else {}, root)

    def fail(self, message: str, *path: str | int) -> NoReturn:
        """Raises `message` with the line of what `path` leads to."""
        raise OverrideError(f"{self.where}, line {self.line(*path)}: {message}")

    def line(self, *path: str | int) -> int:
        """Of the key or item at the end of the path, or as far as the path can be followed."""
        node, line = self.root, 1
        for step in path:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == str(step)), None)
                mark, node = (pair[0], pair[1]) if pair else (None, None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
                mark = node = node.value[step]
            else:
                break
            line = mark.start_mark.line + 1 if mark else line
        return line

    def at(self, *path: str | int) -> Any:
        """The value there, None where nothing is."""
        value: Any = self.raw
        for step in path:
            if isinstance(value, Mapping):
                value = value.get(step)
            else:
                value = value[step] if isinstance(value, list) and isinstance(step, int) else None
        return value

    def mapping(self, path: tuple[str | int, ...], *, known: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """The mapping there, with keys among `known` (any, where none is given)."""
        value = self.at(*path) if path else self.raw
        value = {} if value is None else value
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            self.fail(f"{_spelled(path)} must be 'key: value' pairs", *path)
        for key in value:
            if known and key not in known:
                self.fail(f"unknown key '{key}'; choose from {', '.join(known)}", *path, key)
        return value

    def items(self, *path: str | int) -> list[Any]:
        """The list there."""
        value = self.at(*path)
        if not isinstance(value, list | None):
            self.fail(f"{_spelled(path)} must be a list", *path)
        return value or []

    def values(self, *path: str | int) -> tuple[Scalar, ...]:
        """The values of an axis."""
        items = self.items(*path)
        odd = [item for item in items if not isinstance(item, str | int | float | bool | None)]
        if not items or odd:
            self.fail(f"{_spelled(path)} must be a list of single values" + (f", not {odd[0]!r}" if odd else ""), *path)
        return tuple(items)

    def texts(self, *path: str | int) -> tuple[str, ...]:
        """A list of texts."""
        items = self.items(*path)
        if not all(isinstance(item, str) for item in items):
            self.fail(f"{_spelled(path)} must be a list of key=value texts", *path)
        return tuple(items)


def _spelled(path: tuple[str | int, ...]) -> str:
    return f"'{path[-1] if isinstance(path[-1], str) else path[0]}'" if path else "a sweep"


class _Loader(yaml.SafeLoader):
    """Safe YAML, where 1e-3 is a number (as in Hydra's files) and a key that comes twice is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' comes twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)
