"""What the long-lived process weighs that folds, reconciles and sends to MLflow, while every trial is running."""

import json

from benchmarks.scale.bench import Bench, Row

BELOW_MB = 300.0
LOOKS = 3
SEND_S = 20.0
"""For how long trials are sent: each is sent alone, so that more of them weigh no more."""

CODE = """
import json, sys
from orchestrator import service
from orchestrator.tracking import gather
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store

def peak_mb():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6

layout, looks, send_s = Layout.of(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with Store.open(layout.database_url) as store:
    for _ in range(looks):
        service.observe(layout, store)
    reconciler = peak_mb()
    sent = gather.sync(layout, store, limit_s=send_s)
print(json.dumps({"reconciler": reconciler, "gatherer": peak_mb(), "sent": sent.trials}))
"""


def memory(bench: Bench) -> list[Row]:
    """Peak resident memory of one process, before and after it has sent; MLflow's own store is in the same process."""
    world = bench.live
    told = json.loads(bench.answer_of(CODE, str(world.root), str(LOOKS), str(SEND_S)))
    trials = f"{len(world.sweep.cells):,} live trials"
    said = {
        "reconciler": f"reconciler, {trials}",
        "gatherer": f"and gatherer with MLflow's client and SQLite, {trials}",
    }
    return [Row.of([told[key]], part="memory", what=what, unit="MB", below=BELOW_MB) for key, what in said.items()]
