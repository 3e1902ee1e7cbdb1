import pytest

from dashboards.cells import tabulate
from dashboards.report.content import FORMATS, render
from dashboards.report.document import Bullets, Grid, Paragraph
from dashboards.report.paper_comparison import comparison
from tests.fakes.golden_sweep import golden_sweep
from tests.fakes.paper_sweep import paper_sweep


@pytest.fixture(scope="module")
def blocks():
    return list(comparison(tabulate(paper_sweep())))


def grid(blocks, name):
    return next(block for block in blocks if isinstance(block, Grid) and name in block.caption)


def test_ours_stands_beside_the_papers_in_its_unit(blocks):
    finetuning = grid(blocks, "7.2")
    assert finetuning.header[1:3] == ("random predictor, paper", "random predictor, ours")
    assert finetuning.rows[0] == ("IWM-Inv", "80.5", "50.3 ± 2.9", "81.3", "52.2 ± 0.0")
    assert grid(blocks, "6 Conditioning").rows[0][:2] == ("IWM 18×384, none, destructive", "0.00")


def test_what_was_not_measured_is_named_and_not_shown(blocks):
    said = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert any("Not measured here: encoder fine-tuning and end to end." in text for text in said)
    assert not any("7.3" in text for text in said)


def test_every_order_is_judged_and_summed_up(blocks):
    rows = {row[0]: row[1:] for row in grid(blocks, "Orders").rows}
    assert rows["6 Conditioning, MRR"] == ("3", "2", "1", "0", "+0.33")
    assert rows["7.2 ImageNet-1k top-1 of fine-tuning, random predictor"] == ("1", "0", "0", "1", "+0.00")
    (sentences,) = (block.items for block in blocks if isinstance(block, Bullets))
    assert sentences[0].startswith("6 Conditioning, MRR: the paper's order holds in part (3 pairs: 2 agree,")
    assert len(sentences) == len(rows)
    assert any(": inconclusive (" in sentence for sentence in sentences)


def test_correlations_stand_beside_the_papers(blocks):
    assert grid(blocks, "Correlations").rows == (
        ("MRR with predictor fine-tuning", "+0.93 [C2]", "+1.00 ± 0.00", "4", "3"),
        ("MRR with the linear probe", "-0.85 [C2]", "-1.00 ± 0.00", "4", "3"),
    )


def test_one_seed_decides_nothing():
    blocks = list(comparison(tabulate(paper_sweep(seeds=1))))
    assert {row[2:4] for row in grid(blocks, "Orders").rows} == {("0", "0")}


def test_other_sweeps_are_not_compared():
    assert list(comparison(tabulate(golden_sweep()))) == []


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "csv"])
def test_every_format_for_people_has_the_section(kind):
    assert "Comparison with the paper" in render(paper_sweep(), format=kind)
