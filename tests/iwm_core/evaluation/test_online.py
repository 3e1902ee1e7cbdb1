import dataclasses

import pytest
import torch

from iwm_core.evaluation import mrr
from iwm_core.evaluation.online import OnlineEvaluation
from iwm_core.training import state
from tests.iwm_core.objectives.test_training import KINDS, changed
from tests.iwm_core.training.ranks import with_train

CPU = torch.device("cpu")


def test_the_same_weights_give_the_same_bits_and_stay_as_they_are(tiny):
    made = state.build(tiny, device=CPU)
    before = {name: value.clone() for name, value in made.networks.state_dict().items()}
    made.networks.train()
    found = [OnlineEvaluation(tiny, device=CPU, data_root="").measure(made.networks, made.target) for _ in range(2)]
    assert found[0] == found[1]
    assert made.networks.training
    assert all(torch.equal(value, made.networks.state_dict()[name]) for name, value in before.items())
    assert all(0 <= value <= 1 for value in found[0].values())


def test_a_predictor_blind_to_the_action_scores_the_floor(tiny):
    blind = changed(tiny, {"conditioning.kind": "none"})
    made = state.build(blind, device=CPU)
    found = OnlineEvaluation(blind, device=CPU, data_root="").measure(made.networks, made.target)
    assert found["online_mrr"] == pytest.approx(mrr.floor(blind.evaluate.bank_size))


@pytest.mark.parametrize("name", ["iwm", "vicreg"])
def test_it_is_looked_at_every_so_many_steps_and_the_same_after_a_resumption(tiny, run, tmp_path, name):
    config = with_train(changed(tiny, KINDS[name]), online_every=3)
    twin = run(config, folder=tmp_path / "twin")
    stopped, ended = run(config, stop_after=4), run(config, attempt=1)
    online = {step: metrics for step, metrics in twin.curve.items() if "online_knn_top1" in metrics}
    assert list(online) == [3, 6, 9]
    assert set(online[3]) == {"online_mrr", "online_knn_top1"}
    assert set(online[6]) > {"online_mrr", "online_knn_top1", "loss"}
    assert stopped.curve | ended.curve == twin.curve


def test_nothing_is_looked_at_where_nobody_asked(tiny, run):
    config = dataclasses.replace(tiny)
    assert not [key for metrics in run(config).curve.values() for key in metrics if key.startswith("online")]
