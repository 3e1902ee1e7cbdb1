import torch

from iwm_core.evaluation.multitask import Multitask, with_token


def test_a_token_joins_the_context_and_no_target(small, subject):
    z, token = torch.rand(2, 16, 8), torch.ones(2, 8)
    told, masks = with_token(z, token)
    assert torch.equal(told[:, :-1], z)
    assert torch.equal(told[:, -1], token)
    assert masks.context_BK.shape == (2, 17)
    assert masks.target_BM.shape == (2, 16)


def test_tasks_are_drawn_uniformly_by_seed_and_step(digits, subject):
    learner = Multitask(subject(digits, protocol="multitask"))
    assert list(learner.tasks) == ["digit", "photo", "colour"]
    drawn = [learner.task_at(step) for step in range(300)]
    assert all(70 < drawn.count(name) < 130 for name in learner.tasks)
    assert drawn[:20] == [learner.task_at(step) for step in range(20)]


def test_the_token_says_which_task(digits, subject):
    learner = Multitask(subject(digits, protocol="multitask"))
    learner.heads["photo"] = learner.heads["digit"]
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert not torch.equal(learner.logits(x, task="digit"), learner.logits(x, task="photo"))
