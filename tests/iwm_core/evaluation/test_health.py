import pytest
import torch

from iwm_core.evaluation.health import COLLAPSE_STD, alarm_sentence, collapse_health

B, N, D = 64, 16, 32


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_latents_that_differ_between_images_are_healthy():
    health = collapse_health(noise(B, 1, D) * 0.5 + noise(B, N, D, seed=1))
    assert health["target_std"] == pytest.approx(0.5, abs=0.1)
    assert health["target_std"] > COLLAPSE_STD


def test_latents_that_differ_between_patches_alone_are_collapsed():
    health = collapse_health(noise(1, N, D) + 0.01 * noise(B, 1, D, seed=1))
    assert health["target_std"] == pytest.approx(0.01, abs=0.005)
    assert health["target_std"] < COLLAPSE_STD


def test_the_effective_rank_counts_directions():
    directions_RD = torch.linalg.qr(noise(D, 3)).Q.T
    signs_BR = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).repeat(B // 4, 1)
    health = collapse_health((signs_BR @ directions_RD)[:, None])
    assert health["effective_rank"] == pytest.approx(3, abs=0.01)


def test_the_effective_rank_is_that_of_the_singular_values():
    h_BND = noise(B, N, D)
    s_D = torch.linalg.svdvals(h_BND.mean(1) - h_BND.mean((0, 1)))
    q_D = s_D / s_D.sum()
    expected = torch.exp(-(q_D * q_D.log()).sum())
    assert collapse_health(h_BND)["effective_rank"] == pytest.approx(float(expected), rel=1e-3)
    assert collapse_health(h_BND.repeat(1, 1, 4))["effective_rank"] == pytest.approx(float(expected), rel=1e-2)


def test_the_metrics_are_0_dim_and_fp32_whatever_comes_in():
    health = collapse_health(noise(B, N, D).bfloat16().requires_grad_())
    assert {(value.shape, value.dtype, value.requires_grad) for value in health.values()} == {
        (torch.Size([]), torch.float32, False)
    }


def test_one_image_has_no_spread():
    health = collapse_health(noise(1, N, D))
    assert (float(health["target_std"]), float(health["effective_rank"])) == (0, 1)


def test_latents_that_are_not_finite_are_said_to_be_so():
    h_BND = noise(B, N, D)
    h_BND[0, 0, 0] = torch.nan
    assert all(value.isnan() for value in collapse_health(h_BND).values())


def test_the_alarm_says_what_came_and_what_to_try():
    assert "0.012" in alarm_sentence(0.0123)
    assert "optim.lr" in alarm_sentence(0.0123)
