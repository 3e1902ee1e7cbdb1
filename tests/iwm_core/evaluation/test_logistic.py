import numpy as np
import pytest

from iwm_core.evaluation import logistic
from iwm_core.evaluation.logistic import Split


def clouds(count, *, seed, spread=1.0):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = 4 * np.eye(3, 5)
    return Split(features=centres[labels] + spread * generator.normal(size=(count, 5)), labels=labels)


def test_a_linear_problem_is_solved():
    fit = logistic.probe(clouds(300, seed=0), clouds(150, seed=1), l2=1e-3, threads=1)
    assert fit.top1 > 0.95
    assert fit.converged


def test_a_probe_is_a_function_of_its_arguments():
    train, test = clouds(200, seed=0, spread=4), clouds(100, seed=1, spread=4)
    fits = [logistic.probe(train, test, l2=1e-3, threads=1) for _ in range(2)]
    assert np.array_equal(fits[0].predicted, fits[1].predicted)


def test_the_penalty_is_per_image():
    few, test = clouds(60, seed=0, spread=6), clouds(900, seed=1, spread=6)
    twice = Split(features=np.tile(few.features, (2, 1)), labels=np.tile(few.labels, 2))
    scores = [logistic.probe(train, test, l2=0.1, threads=1).top1 for train in (few, twice)]
    assert scores[0] == pytest.approx(scores[1], abs=2 / 900)


def test_a_fit_that_was_cut_short_is_said_to_be_so():
    train = clouds(300, seed=0, spread=3)
    assert not logistic.probe(train, train, l2=1e-6, threads=1, max_iterations=2).converged


def test_one_class_needs_no_training():
    train = Split(features=np.zeros((4, 2)), labels=np.array([1, 1, 1, 1]))
    test = Split(features=np.zeros((4, 2)), labels=np.array([1, 1, 1, 0]))
    assert logistic.probe(train, test, l2=1e-3, threads=1).top1 == 0.75


def test_features_are_standardised_by_the_training_images():
    train, test = logistic.standardised(np.array([[1.0, 7.0], [3.0, 7.0]]), np.array([[5.0, 9.0]]))
    assert train.tolist() == [[-1, 0], [1, 0]]
    assert test.tolist() == [[3, 0]]


def test_a_feature_that_varies_by_rounding_counts_as_constant():
    train, test = logistic.standardised(np.array([[1.0, 1.0], [3.0, 1 + 1e-7]]), np.array([[1.0, 2.0]]))
    assert train[:, 1].tolist() == [0, 0]
    assert test[:, 1].tolist() == [0]


def test_the_majority_is_that_of_training():
    assert logistic.majority(np.array([2, 2, 1]), np.array([1, 2, 2, 0])) == 0.5
