import pytest

from iwm_core.evaluation.latents import spread


@pytest.mark.parametrize(
    ("available", "at_most", "count"), [(10, 3, 3), (3, 10, 3), (359, 32, 32), (0, 5, 0), (7, 7, 7)]
)
def test_indices_are_distinct_and_within_range(available, at_most, count):
    indices = spread(available, at_most=at_most).tolist()
    assert len(set(indices)) == count
    assert set(indices) <= set(range(available))


def test_a_split_sorted_by_class_gives_every_class_its_share():
    classes = spread(1000, at_most=50) // 100
    assert [(classes == each).sum() for each in range(10)] == [5] * 10
