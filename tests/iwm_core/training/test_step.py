import torch

from iwm_core.training import state
from iwm_core.training.state import weights_sha256
from iwm_core.training.step import optimise

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
