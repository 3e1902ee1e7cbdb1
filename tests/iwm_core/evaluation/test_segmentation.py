import pytest
import torch

from iwm_core.config import (
    DataConfig,
    EncoderConfig,
    EvaluateConfig,
    PredictorConfig,
    TrialConfig,
    TuneConfig,
)
from iwm_core.data.segments import IGNORED
from iwm_core.evaluation.protocols import TUNES
from iwm_core.evaluation.segmentation import confusions, miou
from iwm_core.evaluation.subject import Subject
from iwm_core.models.targets import MovingAverage
from iwm_core.objectives import table as objectives


def test_iou_over_the_classes_that_are_there():
    truth = torch.tensor([[[0, 0, 1, 1], [0, 0, IGNORED, 1]]])
    said = torch.tensor([[[0, 0, 1, 2], [0, 1, 1, 1]]])
    table = confusions(truth, said, classes=4)
    assert table.sum() == 7
    assert miou(table) == ((3 / 4) + (2 / 4)) / 2


def test_right_everywhere_is_one():
    truth = torch.randint(3, (2, 8, 8))
    assert miou(confusions(truth, truth, classes=3)) == 1


@pytest.mark.parametrize(
    ("protocol", "tuned"),
    [
        ("segmentation_encoder", {"encoder"}),
        ("segmentation_predictor", {"predictor"}),
        ("segmentation_end_to_end", {"encoder", "predictor"}),
    ],
)
def test_the_head_and_what_the_name_says_are_tuned(protocol, tuned):
    config = TrialConfig(
        data=DataConfig(image_size=16, stored_size=20),
        encoder=EncoderConfig(patch_size=4, width=16),
        predictor=PredictorConfig(width=16),
        evaluate=EvaluateConfig(protocol=protocol, probe_test_images=24),
        tune=TuneConfig(steps=1, batch_size=4),
    )
    model = objectives.build(config)
    target = MovingAverage(model.encoder, normalise=True)
    learner = TUNES[protocol](Subject(config=config, networks=model, target=target, device=torch.device("cpu")))
    batch = next(learner.batches(start=0, workers=0))
    losses = learner.losses(batch)
    assert list(losses) == ["loss"]
    losses["loss"].backward()
    moved = {name.split(".")[1] for name, p in learner.named_parameters() if p.grad is not None and "networks" in name}
    assert moved == tuned
    rated = {id(p) for rate in learner.rates() for p in rate.parameters}
    assert rated == {id(p) for p in learner.parameters() if p.requires_grad}
    assert set(learner.score()) == {f"{protocol}_miou", f"{protocol}_majority_miou", f"{protocol}_pixel_top1"}
