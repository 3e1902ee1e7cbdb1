import dataclasses
import io

import pytest
import torch

from iwm_core.training import state
from iwm_core.training.state import weights_sha256
from iwm_core.training.step import optimise

CPU = torch.device("cpu")
IMAGES_BCHW = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def through_a_file(payload):
    stream = io.BytesIO()
    torch.save(payload, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def test_a_state_from_a_file_goes_on_bit_for_bit(tiny):
    original, restored = state.build(tiny, device=CPU), state.build(dataclasses.replace(tiny, seed=9), device=CPU)
    optimise(original, image_BCHW=IMAGES_BCHW, config=tiny)
    original.metrics = {"loss": 0.1}
    restored.load_state_dict(through_a_file(original.state_dict()))
    assert (restored.step, restored.metrics) == (1, {"loss": 0.1})
    for each in (original, restored):
        optimise(each, image_BCHW=IMAGES_BCHW, config=tiny)
    assert weights_sha256(original) == weights_sha256(restored)


def test_names_in_a_checkpoint_stay_so_that_earlier_ones_load(tiny):
    payload = state.build(tiny, device=CPU).state_dict()
    assert list(payload) == ["world_model", "target", "optimizer", "step", "metrics"]
    assert {"encoder.vit.blocks.0.attn.qkv.weight", "predictor.mask_token_D"} <= set(payload["world_model"])
    assert {name.split(".", 1)[0] for name in payload["target"]} == {"encoder"}


def test_the_digest_is_a_function_of_the_configuration(tiny):
    digests = [weights_sha256(state.build(dataclasses.replace(tiny, seed=seed), device=CPU)) for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("part", ["networks", "target"])
def test_the_digest_sees_one_bit_of_either_network(tiny, part):
    made = state.build(tiny, device=CPU)
    before, weight = weights_sha256(made), next(getattr(made, part).parameters())
    with torch.no_grad():
        weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(torch.inf))
    assert weights_sha256(made) != before
