import pytest
import torch

from iwm_core.evaluation import ranking

K, F = 64, 48


def latents(seed, rows=K):
    return torch.randn(rows, F, generator=torch.Generator().manual_seed(seed))


def mrr(p_KF, h_KF):
    return float(ranking.reciprocal_ranks(ranking.ranks(p_KF, h_KF)).mean())


def test_the_floor_is_the_mean_of_the_reciprocals():
    assert ranking.floor(1) == 1
    assert ranking.floor(4) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert ranking.floor(256) == pytest.approx(0.0239, abs=5e-5)


def test_a_perfect_prediction_ranks_first():
    h_KF = latents(0)
    assert ranking.ranks(h_KF, h_KF).tolist() == [1] * K


def test_a_good_prediction_ranks_between():
    h_KF = torch.arange(4.0)[:, None]
    p_KF = torch.tensor([[0.4], [0.4], [3.4], [3.4]])
    assert ranking.ranks(p_KF, h_KF).tolist() == [1, 2, 2, 1]


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_a_blind_prediction_scores_the_floor(rounding):
    scores = [mrr(latents(1, rows=1) + rounding * latents(2), latents(seed)) for seed in range(3, 13)]
    assert scores == pytest.approx([ranking.floor(K)] * 10, abs=1e-4)


@pytest.mark.parametrize("rounding", [0, 1e-7])
@pytest.mark.parametrize("blind", [True, False])
def test_a_collapsed_bank_scores_the_worst(blind, rounding):
    p_KF = latents(1, rows=1).expand(K, F) if blind else latents(1)
    h_KF = latents(2, rows=1) + rounding * latents(3)
    assert mrr(p_KF, h_KF) == pytest.approx(1 / K)


def test_predicting_a_collapsed_bank_exactly_does_not_help():
    h_KF = latents(2, rows=1) + 1e-7 * latents(3)
    assert mrr(h_KF, h_KF) == pytest.approx(1 / K)


def test_ties_take_the_worst_rank():
    d_KK = torch.tensor([[1.0, 1.0, 2.0], [0.0, 1.0, 2.0], [3.0, 3.0, 3.0]])
    assert ranking.ranks_of_distances(d_KK, equal_KK=torch.eye(3).bool()).tolist() == [2, 2, 3]


def test_equal_members_are_ties_whatever_their_distance():
    d_KK = torch.tensor([[1.0, 2.0, 3.0]] * 3)
    equal_KK = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    assert ranking.ranks_of_distances(d_KK, equal_KK=equal_KK).tolist() == [2, 2, 3]


def test_nan_takes_the_worst_rank():
    h_KF = latents(0)
    p_KF = h_KF.clone()
    p_KF[3] = torch.nan
    assert ranking.ranks(p_KF, h_KF)[3] == K
    assert ranking.ranks(h_KF, torch.full_like(h_KF, torch.nan)).tolist() == [K] * K


def test_hits_count_ranks_up_to_a_limit():
    assert ranking.hits(torch.tensor([1, 5, 6]), within=5).tolist() == [1, 1, 0]
