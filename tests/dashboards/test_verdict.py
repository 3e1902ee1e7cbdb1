import math

import pytest

from dashboards.effects import MainEffect, Pair
from dashboards.verdict import Judged, Verdict, judge


def judged(differences, *, seeds=1) -> Judged | None:
    """An effect with these differences, one setting each, all of them the same for every seed but for 0.001."""
    pairs = tuple(
        Pair((("other", place),), seed, 0.25, 0.25 + difference + 0.001 * seed)
        for place, difference in enumerate(differences)
        for seed in range(seeds)
    )
    return judge(MainEffect(axis="a", metric="mrr", base=0, level=1, pairs=pairs))


@pytest.mark.parametrize(
    ("differences", "seeds", "expected"),
    [
        ([0.1, 0.2], 1, Verdict.CLEAR),
        ([-0.1, -0.2], 1, Verdict.CLEAR),
        ([0.1, -0.2], 1, Verdict.MIXED),
        ([0.1, 0.0], 1, Verdict.MIXED),
        ([0.01, 0.02], 1, Verdict.WEAK),
        ([0.01, 0.012], 3, Verdict.CLEAR),
        ([0.01, 0.9], 2, Verdict.WEAK),
        ([0.1, -0.01], 3, Verdict.MIXED),
    ],
)
def test_the_rules(differences, seeds, expected):
    known = judged(differences, seeds=seeds)
    assert known
    assert known.verdict is expected


def test_nothing_to_judge():
    assert judged([]) is None
    assert judged([math.nan, 0.1]) is None


def test_words_for_numbers():
    known = judged([0.1, 0.3, -0.05])
    assert known
    assert (known.rises, known.falls, known.settings) == (2, 1, 3)
    assert known.reach() == "-0.05 to +0.30"
    assert known.size() == "0.12 on average"
    assert known.everywhere() == "in all 3 pairings"


def test_doubt_names_its_reason():
    one, several = judged([0.01]), judged([0.01, 0.9], seeds=2)
    assert one
    assert one.doubt() == "less than the 0.05 that another seed alone can move"
    assert several
    assert several.doubt().endswith("includes zero")
    assert "±" in several.size()
