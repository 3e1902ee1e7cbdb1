"""With train.deterministic=true a run that was interrupted ends with the bits of one that was not."""

import pytest

from iwm_core.events import Preempted
from tests.gpu.trials import CASES, SMALL, attempt, changed, exact, killed_at


def resumed(config, device, folder, **runtime):
    """The last of three attempts, of which one is stopped after step 3 and one killed after step 6."""
    stopped = attempt(config, device, folder=folder, ask=lambda asked: "SIGTERM" if asked == 3 else None, **runtime)
    killed = attempt(config, device, folder=folder, number=1, ask=killed_at, **runtime)
    ended = attempt(config, device, folder=folder, number=2, **runtime)
    assert stopped.end == Preempted(step=3, signal="SIGTERM")
    assert (killed.resumed_from, killed.end, ended.resumed_from) == (3, None, 6)
    return ended


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stopped_and_killed_it_ends_with_the_bits_of_an_undisturbed_twin(precision, workers, device, tmp_path):
    config = exact(SMALL, precision)
    twin = attempt(config, device, folder=tmp_path / "twin")
    ended = resumed(config, device, tmp_path / "run", loader_workers=workers)
    assert ended.weights == twin.weights
    assert ended.curve.items() <= twin.curve.items()


@pytest.mark.parametrize("case", CASES)
def test_every_objective_and_conditioning_is_exact(case, device, tmp_path):
    settings = {**CASES[case], "masks.context_ratio": 0.25, "masks.target_ratio": 0.14}
    config = exact(changed(SMALL, settings), "bf16")
    twin = attempt(config, device, folder=tmp_path / "twin")
    assert resumed(config, device, tmp_path / "run").weights == twin.weights
