import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import OverrideError
from orchestrator.planning.axes import POINTS_MAX, Bundle, Design, among, matches, points, with_axis

KEYS = ("a", "b", "c", "d")
values = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)
axes = st.dictionaries(st.sampled_from(KEYS), values, min_size=1)


def grid(axes: dict[str, list[int]]) -> Design:
    return Design(tuple(Bundle.axis(key, values) for key, values in axes.items()))


def as_set(design: Design) -> set[frozenset]:
    return {frozenset(point.items()) for point in points(design)}


@given(axes)
def test_a_grid_holds_every_combination_once_with_the_last_axis_fastest(axes):
    found = [tuple(point.values()) for point in points(grid(axes))]
    expected = [()]
    for column in axes.values():
        expected = [(*row, value) for row in expected for value in column]
    assert found == expected


@given(axes, st.randoms(use_true_random=False))
def test_the_order_of_the_axes_does_not_change_which_points_there_are(axes, random):
    shuffled = random.sample(list(axes.items()), len(axes))
    assert as_set(grid(axes)) == as_set(grid(dict(shuffled)))


@given(axes, st.dictionaries(st.sampled_from(KEYS), st.tuples(st.integers(0, 3)), min_size=1))
def test_an_exclusion_leaves_out_what_it_matches_and_nothing_else(axes, pattern):
    every = list(points(grid(axes)))
    left = list(points(Design(grid(axes).bundles, exclude=(pattern,))))
    assert left == [point for point in every if not matches(pattern, point)]


@given(axes, st.data())
def test_pinning_an_axis_keeps_the_points_with_that_value(axes, data):
    key = data.draw(st.sampled_from(list(axes)))
    value = data.draw(st.sampled_from(axes[key]))
    pinned = list(points(with_axis(grid(axes), key, [value])))
    assert pinned == [point for point in points(grid(axes)) if point[key] == value]


@given(axes)
def test_a_condition_splits_the_grid_into_points_with_and_without_its_axis(axes):
    key, column = next(iter(axes.items()))
    conditional = Bundle.axis("more", [10, 20], when={key: (column[0],)})
    found = list(points(Design((*grid(axes).bundles, conditional))))
    assert all(("more" in point) == (point[key] == column[0]) for point in found)
    plain = len(list(points(grid(axes))))
    assert len(found) == plain + plain // len(column)


def test_zipped_axes_move_together():
    design = Design((Bundle(("a", "b"), ((1, 10), (2, 20))), Bundle.axis("c", [0, 1])))
    assert [tuple(point.values()) for point in points(design)] == [(1, 10, 0), (1, 10, 1), (2, 20, 0), (2, 20, 1)]
    assert [point["b"] for point in points(with_axis(design, "a", [2]))] == [20, 20]


def test_a_new_value_of_a_zipped_axis_has_no_partner():
    with pytest.raises(OverrideError) as caught:
        with_axis(Design((Bundle(("a", "b"), ((1, 10), (2, 20))),)), "a", [3])
    assert (caught.value.setting, caught.value.value, caught.value.choices) == ("a", 3, ("1", "2"))


def test_a_new_axis_comes_before_conditions_and_the_seed_comes_last():
    design = Design((Bundle.axis("a", [1]), Bundle.axis("b", [1], when={"a": (1,)}), Bundle.axis("seed", [0])))
    assert with_axis(design, "c", [1]).keys == ("a", "c", "b", "seed")
    assert with_axis(Design(design.bundles[:2]), "seed", [0]).keys == ("a", "b", "seed")


def test_one_axis_is_not_set_twice():
    twice = tuple(Bundle.axis("b", [1], when={"a": (1,)}) for _ in range(2))
    with pytest.raises(OverrideError) as caught:
        points(Design((Bundle.axis("a", [1]), *twice)))
    assert caught.value.setting == "b"


def test_a_product_without_end_is_refused():
    with pytest.raises(OverrideError) as caught:
        points(grid({key: list(range(POINTS_MAX // 100)) for key in ("a", "b")}))
    assert caught.value.setting == "axes"


def test_true_is_not_one():
    assert among(1, [1.0])
    assert not among(1, [True])
