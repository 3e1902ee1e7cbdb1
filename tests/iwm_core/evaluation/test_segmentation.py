import torch

from iwm_core.data.segments import IGNORED
from iwm_core.evaluation.segmentation import confusions, miou


def test_iou_over_the_classes_that_are_there():
    truth = torch.tensor([[[0, 0, 1, 1], [0, 0, IGNORED, 1]]])
    said = torch.tensor([[[0, 0, 1, 2], [0, 1, 1, 1]]])
    table = confusions(truth, said, classes=4)
    assert table.sum() == 7
    assert miou(table) == ((3 / 4) + (2 / 4)) / 2


def test_right_everywhere_is_one():
    truth = torch.randint(3, (2, 8, 8))
    assert miou(confusions(truth, truth, classes=3)) == 1
