import shutil

import pytest
import torch

from iwm_core.config import RuntimeConfig
from iwm_core.training import state
from iwm_core.training.distributed import ALONE
from iwm_core.training.state import weights_sha256
from iwm_core.training.step import optimise, prepared
from tests.iwm_core.objectives.test_training import IMAGE_BCHW, KINDS, changed
from tests.iwm_core.training.ranks import with_train

CPU = torch.device("cpu")
IMAGES_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_step_trains_the_world_model_and_the_target_follows(tiny):
    made = state.build(tiny, device=CPU)
    before = {name: value.clone() for name, value in made.networks.encoder.state_dict().items()}
    outcome = optimise(made, image_BCHW=IMAGES_BCHW, config=tiny)
    assert (outcome.step, made.step) == (0, 1)
    encoder, target = made.networks.encoder.state_dict(), made.target.encoder.state_dict()
    assert {name for name in before if torch.equal(encoder[name], before[name])} == {"vit.pos_embed"}
    for name, value in before.items():
        torch.testing.assert_close(target[name], value + (1 - outcome.ema) * (encoder[name] - value))


def test_what_is_kept_of_a_step_holds_no_graph(tiny):
    outcome = optimise(state.build(tiny, device=CPU), image_BCHW=IMAGES_BCHW, config=tiny)
    assert not outcome.prediction_BD.requires_grad
    assert not outcome.target_BD.requires_grad
    assert not outcome.loss.requires_grad


def test_the_same_state_and_images_give_the_same_bits(tiny):
    digests = set()
    for _ in range(2):
        made = state.build(tiny, device=CPU)
        optimise(made, image_BCHW=IMAGES_BCHW, config=tiny)
        digests.add(weights_sha256(made))
    assert len(digests) == 1


def test_another_step_draws_other_views(tiny):
    losses = set()
    for step in (0, 1):
        made = state.build(tiny, device=CPU)
        made.step = step
        losses.add(optimise(made, image_BCHW=IMAGES_BCHW, config=tiny).loss.item())
    assert len(losses) == 2


def after_two_steps(config, *, backend="aot_eager", **runtime):
    """The weights, and the losses."""
    made = state.build(config, device=CPU)
    settings = RuntimeConfig(device="cpu", **runtime)
    networks = prepared(made, config=config, runtime=settings, world=ALONE, backend=backend)
    losses = [float(optimise(made, image_BCHW=IMAGE_BCHW, config=config, called=networks).loss) for _ in range(2)]
    return made.networks.state_dict(), losses


@pytest.mark.parametrize("name", KINDS)
def test_activations_that_are_computed_twice_change_no_bit(tiny, name):
    config = changed(tiny, {**KINDS[name], "encoder.depth": 2, "predictor.depth": 2})
    kept, twice = (after_two_steps(config, checkpoint_activations=on) for on in (False, True))
    assert kept[1] == twice[1]
    assert all(torch.equal(value, twice[0][key]) for key, value in kept[0].items())


def test_fewer_activations_are_kept(tiny):
    sizes = []
    for on in (False, True):
        made = state.build(changed(tiny, {"encoder.depth": 4, "predictor.depth": 4}), device=CPU)
        settings = RuntimeConfig(device="cpu", checkpoint_activations=on)
        networks = prepared(made, config=tiny, runtime=settings, world=ALONE)
        with torch.autograd.graph.saved_tensors_hooks(lambda kept: sizes[-1].append(kept.numel()) or kept, _same):
            sizes.append([])
            optimise(made, image_BCHW=IMAGE_BCHW, config=tiny, called=networks)
    assert sum(sizes[1]) < 0.5 * sum(sizes[0])


def _same(kept):
    return kept


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_networks_are_the_same_function_with_the_same_names(tiny, backend):
    if backend == "inductor" and not shutil.which("g++"):
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    plain = after_two_steps(tiny)
    compiled = after_two_steps(with_train(tiny, compile=True), backend=backend)
    assert compiled[1] == pytest.approx(plain[1], rel=1e-4)
    assert compiled[0].keys() == plain[0].keys()
