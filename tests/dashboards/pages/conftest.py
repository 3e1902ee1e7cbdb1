from tests.orchestrator.conftest import on_disk  # noqa: F401 - a root as workers leave it
