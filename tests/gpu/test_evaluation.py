"""Every protocol says on the device what it says on the CPU, and tuning resumes exactly."""

import pytest

from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.evaluation import protocols
from iwm_core.evaluation.subject import Subject
from iwm_core.evaluation.tuning import tune
from iwm_core.events import Finished, Preempted, RunCallbacks
from iwm_core.training import numerics, state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.step import optimise
from tests.gpu.trials import CPU, built, changed, images

DIGITS = changed(
    TrialConfig(),
    {
        "data.image_size": 16, "data.stored_size": 20, "encoder.patch_size": 4, "evaluate.bank_size": 32,
        "evaluate.bank_images": 4, "evaluate.probe_train_images": 300, "evaluate.probe_test_images": 300,
        "evaluate.probe_l2": 0.01, "tune.steps": 6, "tune.batch_size": 16,
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    """The networks after a few steps on the CPU."""
    made = built(DIGITS, CPU)
    for _ in range(10):
        optimise(made, image_BCHW=images(DIGITS, CPU), config=DIGITS)
    return made.state_dict()


@pytest.fixture
def subject(trained):
    """subject(name, device): these networks, under the test of the protocol `name`."""

    def subject(name, device):
        config = changed(DIGITS, {"evaluate.protocol": name, "train.deterministic": True})
        made = state.build(config, device=device)
        made.networks.load_state_dict(trained["world_model"])
        made.target.load_state_dict(trained["target"])
        return Subject(config=config, networks=made.networks.eval(), target=made.target, device=device)

    return subject


def tuned(tested, folder, *, number=0, stop_at=None):
    """How one attempt at tuning ended."""
    asked = iter(range(1, 100))
    with numerics.arithmetic(tested.config.train, device=tested.device):
        return tune(
            protocols.TUNES[tested.config.evaluate.protocol](tested),
            tested.config,
            RuntimeConfig(checkpoint_every_steps=100),
            device=tested.device,
            checkpoints=CheckpointFolder(folder, attempt=number),
            done={},
            callbacks=RunCallbacks(should_stop=lambda: "SIGTERM" if next(asked) == stop_at else None),
        )


def assert_close(found, expected):
    """A few of 300 images may be told otherwise, where two classes are as likely; of a class there are 30."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.1 if name.startswith("per_class") else 0.02), name


@pytest.mark.parametrize("name", protocols.MEASURES)
def test_what_is_measured_is_what_the_cpu_measures(name, device, subject):
    found, expected = (protocols.measured(protocols.MEASURES[name], subject(name, where)) for where in (device, CPU))
    assert_close(found, expected)


@pytest.mark.parametrize("name", protocols.TUNES)
def test_what_is_tuned_is_what_the_cpu_tunes_and_resumes_exactly(name, device, subject, tmp_path):
    ended, on_cpu = (tuned(subject(name, where), tmp_path / str(n)) for n, where in enumerate((device, CPU)))
    assert isinstance(ended, Finished)
    assert isinstance(on_cpu, Finished)
    assert_close(ended.metrics, on_cpu.metrics)
    stopped = tuned(subject(name, device), tmp_path / "cut", stop_at=3)
    assert stopped == Preempted(step=3, signal="SIGTERM")
    again = tuned(subject(name, device), tmp_path / "cut", number=1)
    assert isinstance(again, Finished)
    assert again.weights_sha256 == ended.weights_sha256
