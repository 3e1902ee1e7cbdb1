"""The order of the core's packages: each imports those before it, wherever in a file the import stands."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import iwm_core

ORDER = (
    {"config", "errors", "randomness", "events", "tensors"},
    {"data"},
    {"models"},
    {"objectives"},
    {"training"},
    {"evaluation"},
    {"pretrain"},
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
CORE = Path(iwm_core.__file__).parent
FILES = [path for path in sorted(CORE.rglob("*.py")) if path.parent != CORE or path.name != "__init__.py"]


def module_of(path: Path) -> str:
    return ".".join(("iwm_core", *path.relative_to(CORE).with_suffix("").parts))


MODULES = {module_of(path) for path in FILES}


def imported(path: Path) -> Iterator[str]:
    """The core's modules that a file imports, in functions and for types alone, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            named = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES
            yield from named or {str(node.module)} & MODULES


def package_of(module: str) -> str:
    return module.split(".")[1]


def test_every_package_has_its_place():
    assert {package_of(module) for module in MODULES} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_imports_its_own_package_and_those_before(path):
    package = package_of(module_of(path))
    others = {module for module in imported(path) if package_of(module) != package}
    bottom = LEVEL[package] == 0
    assert not {m for m in others if LEVEL[package_of(m)] > LEVEL[package] - (not bottom)}


def test_no_module_imports_itself_through_others():
    imports = {module_of(path): set(imported(path)) for path in FILES}
    left = dict(imports)
    while ready := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in ready:
            del left[module]
    assert not left
