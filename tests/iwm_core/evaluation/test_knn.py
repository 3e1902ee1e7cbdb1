import numpy as np

from iwm_core.evaluation.knn import top1
from iwm_core.evaluation.logistic import Split

TRAIN = Split(features=np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0]]), labels=np.array([0, 0, 1, 1]))


def test_the_nearest_by_angle_vote():
    test = Split(features=np.array([[9.0, 1.0], [0.2, 0.9], [5.0, 0.0]]), labels=np.array([0, 1, 1]))
    assert top1(TRAIN, test, neighbours=2, temperature=0.07) == 2 / 3


def test_with_a_low_temperature_the_nearest_one_decides():
    train = Split(features=np.array([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8]]), labels=np.array([0, 1, 1]))
    test = Split(features=np.array([[1.0, 0.05]]), labels=np.array([0]))
    assert top1(train, test, neighbours=9, temperature=0.01) == 1
    assert top1(train, test, neighbours=9, temperature=100) == 0
