import dataclasses

import pytest
import timm
import torch

from iwm_core.config import EncoderConfig, EvaluateConfig
from iwm_core.errors import CheckpointError, ConfigError
from iwm_core.events import Finished
from iwm_core.models.backbone import shape_of
from iwm_core.models.targets import FrozenTeacher, MovingAverage
from iwm_core.objectives import table as objectives
from iwm_core.tensors import sha256_of
from iwm_core.training import state
from iwm_core.training.state import weights_sha256
from iwm_core.training.step import optimise

Y_BCHW = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
CPU = torch.device("cpu")
NAME = "vit_tiny_patch16_224"
IMAGE_BCHW = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def config(tiny):
    return dataclasses.replace(
        tiny,
        data=dataclasses.replace(tiny.data, image_size=64, stored_size=72),
        encoder=EncoderConfig(patch_size=16, width=16, depth=1),
        target=f"frozen:{NAME}",
    )


@pytest.fixture
def weights_file(tmp_path):
    """Weights as timm saves them, of a model for another image size."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        torch.save(timm.create_model(NAME).state_dict(), tmp_path / "weights.pt")
    return str(tmp_path / "weights.pt")


def named(config, name):
    return dataclasses.replace(config, evaluate=EvaluateConfig(weights=name))


def test_it_takes_the_place_of_the_moving_average_and_stays_as_it_is(config):
    made = state.build(config, device=CPU)
    assert isinstance(made.target, FrozenTeacher)
    before = made.target.state_dict()["digest"].clone(), sha256_of(made.target.get_submodule("teacher").state_dict())
    assert optimise(made, image_BCHW=IMAGE_BCHW, config=config).loss > 0
    assert torch.equal(made.target.state_dict()["digest"], before[0])
    assert sha256_of(made.target.get_submodule("teacher").state_dict()) == before[1]


def test_latents_are_the_patches_of_timm_s_own_forward(config):
    target = state.build(config, device=CPU).target
    target.normalise = False
    x_BCHW = torch.randn(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    theirs = target.get_submodule("teacher.vit").forward_features((x_BCHW * std + mean - 0.5) / 0.5)  # pyright: ignore[reportCallIssue]
    torch.testing.assert_close(target(x_BCHW).h_BND, theirs[:, 1:], atol=1e-5, rtol=1e-5)
    assert theirs.shape == (2, 17, 192)


def test_its_weights_are_a_function_of_the_seed_and_are_in_no_checkpoint(config):
    first, again = (state.build(config, device=CPU) for _ in range(2))
    other = state.build(dataclasses.replace(config, seed=4), device=CPU)
    assert weights_sha256(first) == weights_sha256(again)
    assert first.target.fingerprint() == again.target.fingerprint() != other.target.fingerprint()
    assert [tensor.numel() for tensor in first.state_dict()["target"].values()] == [32]


def test_the_evaluated_encoder_is_the_trained_one(config):
    made = state.build(config, device=CPU)
    assert made.target.encoder is made.networks.encoder


def test_killed_and_resumed_it_ends_with_the_same_weights(config, run, tmp_path):
    twin = run(config, folder=tmp_path / "twin")
    run(config, kill_after=6)
    ended = run(config, attempt=1)
    assert isinstance(ended.end, Finished)
    assert isinstance(twin.end, Finished)
    assert ended.end.weights_sha256 == twin.end.weights_sha256
    assert len(ended.fingerprint["teacher"]) == 64
    assert {"mrr", "linear_probe_top1"} <= set(ended.end.metrics)


def test_weights_come_from_a_file_that_the_trial_knows_by_name(config, weights_file):
    made, random = (
        state.build(named(config, "mine"), device=CPU, weights_file=weights_file),
        state.build(config, device=CPU),
    )
    saved = torch.load(weights_file)["blocks.3.mlp.fc1.weight"]
    assert torch.equal(made.target.get_parameter("teacher.vit.blocks.3.mlp.fc1.weight"), saved)
    with pytest.raises(CheckpointError) as caught:
        made.load_state_dict(random.state_dict())
    assert caught.value.setting == "resources.weights_file"


@pytest.mark.parametrize(
    ("weights", "file", "setting"),
    [
        ("mine", "", "resources.weights_file"),
        ("", "a.pt", "evaluate.weights"),
        ("mine", "/nowhere/a.pt", "resources.weights_file"),
    ],
)
def test_half_named_weights_are_refused(config, weights, file, setting):
    with pytest.raises(ConfigError) as caught:
        state.build(named(config, weights), device=CPU, weights_file=file)
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("target", "setting", "choice"),
    [
        ("mean", "target", "ema"),
        ("frozen:vit_tiny_patch16_24", "", "vit_tiny_patch16_224"),
        ("frozen:resnet18", "encoder.patch_size", "32"),
    ],
)
def test_a_teacher_that_does_not_fit_is_named_with_what_to_change(config, target, setting, choice):
    with pytest.raises(ConfigError) as caught:
        state.build(dataclasses.replace(config, target=target), device=CPU)
    assert caught.value.setting == setting
    assert choice in caught.value.choices


@pytest.mark.parametrize(
    ("name", "expected"),
    [("resnet18", (4, 512)), ("swin_tiny_patch4_window7_224", (4, 768)), ("vit_small_patch14_reg4_dinov2", (16, 384))],
)
def test_patches_of_other_families(name, expected):
    assert shape_of(name, image_size=64 if name != "vit_small_patch14_reg4_dinov2" else 56) == expected


def test_an_image_size_that_a_model_does_not_take_is_refused():
    with pytest.raises(ConfigError, match=r"data\.image_size=8"):
        shape_of(NAME, image_size=8)


def test_the_global_random_state_is_left_as_it_was(config):
    before = torch.get_rng_state()
    state.build(config, device=CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def encoder(tiny):
    return objectives.build(tiny).encoder


def test_starts_as_a_copy_that_is_not_trained(encoder):
    target = MovingAverage(encoder, normalise=False)
    assert torch.equal(target(Y_BCHW).h_BND, encoder(Y_BCHW))
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert encoder.vit.norm.weight.requires_grad


def test_latents_have_no_gradient(encoder):
    assert not MovingAverage(encoder, normalise=True)(Y_BCHW).h_BND.requires_grad


def test_normalised_latents_have_mean_zero_and_variance_one(encoder):
    h_BND = MovingAverage(encoder, normalise=True)(Y_BCHW).h_BND
    torch.testing.assert_close(h_BND.mean(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(h_BND.var(-1, correction=0), torch.ones(2, 16), atol=1e-3, rtol=0)


def test_at_takes_each_samples_own_positions(encoder):
    latents = MovingAverage(encoder, normalise=True)(Y_BCHW)
    h_BMD = latents.at(torch.tensor([[3, 0], [15, 7]]))
    assert torch.equal(h_BMD[0, 1], latents.h_BND[0, 0])
    assert torch.equal(h_BMD[1, 0], latents.h_BND[1, 15])


def test_update_moves_every_weight_its_share_of_the_way(encoder):
    target = MovingAverage(encoder, normalise=True)
    before = {name: value.clone() for name, value in target.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    target.update(encoder, decay=0.75)
    for name, value in target.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name] + 0.25)


def test_a_decay_of_one_changes_no_bit(encoder):
    target = MovingAverage(encoder, normalise=True)
    before = {name: value.clone() for name, value in target.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1.7)
    target.update(encoder, decay=1.0)
    assert all(torch.equal(value, before[name]) for name, value in target.encoder.state_dict().items())
