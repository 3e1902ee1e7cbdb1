"""The benchmark of the pages, on a handful of trials; nothing here is timed."""

import pytest

from orchestrator.records.layout import Layout
from orchestrator.serving.command import choose
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh


@pytest.fixture(scope="module")
def benchmark(script):
    return script("pages")


def test_a_page_of_a_made_root_is_asked_for_over_http(benchmark, tmp_path):
    from benchmarks.scale.browsing import places, serving
    from benchmarks.scale.roots import FEW_CELLS, MIXED, make_world

    layout = Layout.of(make_world(tmp_path, trials=20, mix=MIXED, shape=FEW_CELLS).root, environ={})
    with Store.open(layout.database_url) as store:
        refresh(layout, store)
    record, pages = places(layout.root)
    assert (len(record.trials), list(pages)) == (20, ["all sweeps", "grid", "answer", "time line", "trial"])
    with serving(layout.root, port=choose("127.0.0.1", port=0).port) as served:
        took, size = served.get(pages["grid"])
    assert took.wall_s > 0
    assert size > 1_000
