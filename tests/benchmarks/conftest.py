"""Scripts as modules: while one is loaded, `benchmarks` can be imported however the tests were started."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def script():
    """script("step") is the module of benchmarks/step.py."""
    before, loaded = list(sys.path), []

    def script(name):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        loaded.append(spec.name)
        spec.loader.exec_module(module)
        return module

    yield script
    sys.path[:] = before
    for name in loaded:
        del sys.modules[name]
