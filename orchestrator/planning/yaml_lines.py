"""A YAML document with line numbers, so that an error can name the line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from orchestrator.errors import OverrideError
from orchestrator.trial.sweep import Scalar


@dataclass(frozen=True)
class Page:
    """A YAML document with line numbers. A path is the keys and indices that lead to a value."""

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
            message = f"{where}, line {line}: broken YAML: {error.problem or error.context}"
            raise OverrideError(message, setting=f"line {line}", path=where) from error
        except yaml.YAMLError as error:
            raise OverrideError(f"{where}: broken YAML: {str(error).splitlines()[0]}", path=where) from error
        return cls(where, raw if raw is not None else {}, root)

    def fail(self, message: str, *path: str | int) -> NoReturn:
        """Raise an OverrideError with the line at `path`.

        Raises:
            OverrideError: always; `setting` is the dotted path.
        """
        message = f"{self.where}, line {self.line(*path)}: {message}"
        raise OverrideError(message, setting=".".join(map(str, path)), path=self.where)

    def line(self, *path: str | int) -> int:
        """The line of the key or item at the path, or of the last one that exists on it."""
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
        """The value at the path; None if there is none."""
        value: Any = self.raw
        for step in path:
            if isinstance(value, Mapping):
                value = value.get(step)
            else:
                value = value[step] if isinstance(value, list) and isinstance(step, int) else None
        return value

    def mapping(self, path: tuple[str | int, ...], *, known: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """The mapping at the path, with keys among `known` (empty: any)."""
        value = self.at(*path) if path else self.raw
        value = {} if value is None else value
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            self.fail(f"{_spelled(path)} must be 'key: value' pairs", *path)
        for key in value:
            if known and key not in known:
                self.fail(f"unknown key '{key}'; choose from {', '.join(known)}", *path, key)
        return value

    def items(self, *path: str | int) -> list[Any]:
        """The list at the path."""
        value = self.at(*path)
        if not isinstance(value, list | None):
            self.fail(f"{_spelled(path)} must be a list", *path)
        return value or []

    def values(self, *path: str | int) -> tuple[Scalar, ...]:
        """The values of the axis at the path."""
        items = self.items(*path)
        odd = [item for item in items if not isinstance(item, str | int | float | bool | None)]
        if not items or odd:
            self.fail(f"{_spelled(path)} must be a list of single values" + (f", not {odd[0]!r}" if odd else ""), *path)
        return tuple(items)

    def texts(self, *path: str | int) -> tuple[str, ...]:
        """The list of texts at the path."""
        items = self.items(*path)
        if not all(isinstance(item, str) for item in items):
            self.fail(f"{_spelled(path)} must be a list of key=value texts", *path)
        return tuple(items)


def _spelled(path: tuple[str | int, ...]) -> str:
    return f"'{path[-1] if isinstance(path[-1], str) else path[0]}'" if path else "a sweep"


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number (as in Hydra's files) and a duplicate key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' occurs twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)
