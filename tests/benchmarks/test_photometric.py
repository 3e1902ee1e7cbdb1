import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from iwm_core.config import PhotometricConfig, TrialConfig
from iwm_core.data.views import make_views

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "photometric.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_photometric", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("hue", ["hsv", "yiq"])
def test_both_sides_make_the_same_views(benchmark, hue):
    config = TrialConfig(photometric=PhotometricConfig(hue=hue, grayscale_p=0.5, blur_p=0.5, solarize_p=0.5))
    image_BCHW = torch.randint(256, (24, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batched = make_views(image_BCHW, config, 0)
    looped = benchmark.loop_views(image_BCHW, config, 0)
    for side, got in enumerate((batched.x_BCHW, batched.y_BCHW)):
        expected = torch.stack([pair[side] for pair in looped])
        close = (got - expected).abs() < 1e-4
        assert close.float().mean() > 0.9999  # solarize may fall on either side of its threshold


def test_the_document_repeats_its_first_row(benchmark):
    rows = [benchmark.Row(32, "yiq", 64, 30000.0, 4000.0, 7.5), benchmark.Row(224, "hsv", 16, 300.0, 100.0, 3.0)]
    document = json.loads(json.dumps(benchmark.document(rows)))
    assert (document["batched_ips"], document["loop_ips"], document["ratio"]) == (30000.0, 4000.0, 7.5)
    assert [row["size"] for row in document["rows"]] == [32, 224]
    assert {"processor", "torch", "date"} <= set(document)


def test_the_table_has_a_line_per_row(benchmark):
    text = benchmark.table([benchmark.Row(32, "yiq", 64, 30000.0, 4000.0, 7.5)])
    assert "| 32 px, yiq | 64 | 30,000 | 4,000 | 7.5 |" in text
