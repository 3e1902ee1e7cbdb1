"""The small fixed sweep behind tests/golden/report.*; `python -m tests.fakes.golden_sweep` writes those files anew."""

from pathlib import Path

from dashboards.report.content import render
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.results import SweepResults
from tests.fakes.results import GPU, Levels, attempt, finished, results, trial

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = ("md", "tex", "csv")

MRR = {("none", 0.25): 0.023, ("none", 1.0): 0.024, ("feature", 0.25): 0.21, ("feature", 1.0): 0.41}


def measure(levels: Levels, seed: int) -> dict[str, float]:
    """MRR of the table above, one hundredth more per seed where the action is known."""
    mrr = MRR[str(levels["conditioning"]), float(levels["photometric.strength"] or 0)]
    return {
        "mrr": mrr + 0.01 * seed * (mrr > 0.03),
        "mrr_floor": 0.0239,
        "hit1": mrr / 2,
        "linear_probe_top1": 0.19,
        "random_probe_top1": 0.22,
        "pixel_probe_top1": 0.85,
        "loss": 0.25,
        "target_std": 0.55,
    }


def golden_sweep() -> SweepResults:
    """Two axes, two seeds: one trial resumed, one drifted, one failed with a nasty message, one still running."""
    trials = []
    for conditioning, strength in MRR:
        for seed in (0, 1):
            levels = {"conditioning": conditioning, "photometric.strength": strength, "seed": seed}
            status = SPECIAL.get((conditioning, strength, seed)) or finished(measure(levels, seed))
            trials.append(trial(levels, status=status, seed=seed))
    about = "does 100% of a_b | <script>alert(1)</script> matter?"
    return results(trials, axes=["conditioning", "photometric.strength", "seed"], name="golden", about=about)


SPECIAL = {
    ("none", 0.25, 1): finished(
        {"mrr": 0.025, "mrr_floor": 0.0239, "loss": 0.25},
        attempts=(attempt(end="lost", step=60), attempt(1, resumed_from_step=50, seconds=30.0)),
    ),
    ("none", 1.0, 1): finished(
        {"mrr": 0.024, "mrr_floor": 0.0239, "loss": 0.25},
        attempts=(
            attempt(end="preempted", step=50, fingerprint=GPU),
            attempt(1, resumed_from_step=50, fingerprint=GPU),
        ),
        drifted=("loss",),
    ),
    ("feature", 0.25, 1): TrialStatus(
        state=State.FAILED,
        error="loss is 'nan' at step 7 | see C:\\logs\\a_b & <b>`x`</b> {50%} $HOME #1 ~^\"",
        attempts=(attempt(end="failed", step=7),),
        metrics={"loss": 9.0},
    ),
    ("feature", 1.0, 1): TrialStatus(
        state=State.RUNNING, attempts=(attempt(end=None, step=40),), metrics={"loss": 9.0}
    ),
}


if __name__ == "__main__":
    for kind in FORMATS:
        (GOLDEN / f"report.{kind}").write_text(render(golden_sweep(), format=kind), encoding="utf-8", newline="\n")
