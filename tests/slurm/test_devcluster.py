"""The cluster in a box is a real SLURM, survives what tests do to it, and leaves nothing behind."""

import time

from orchestrator.devcluster import DevCluster


def finished(cluster: DevCluster, job: str) -> str:
    """The state that accounting gives a job, once it has ended."""
    deadline = time.monotonic() + 30
    while (state := cluster.run("sacct", "-nXPD", "-j", job, "-o", "State").strip()) in ("", "PENDING", "RUNNING"):
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    return state


def test_a_job_runs(dev_cluster, tmp_path):
    cluster = dev_cluster()
    said = tmp_path / "said"
    job = cluster.run(
        "sbatch", "--parsable", "--gpus-per-node=1", f"--output={said}", "--wrap", "srun printenv CUDA_VISIBLE_DEVICES"
    ).strip()
    assert finished(cluster, job) == "COMPLETED"
    assert said.read_text() == "0\n"
    cluster.wait_idle()
