"""A job's pickle holds one path."""

import cloudpickle

from orchestrator.worker import Worker


def test_the_pickle_is_a_path_and_little_else(tmp_path):
    pickled = cloudpickle.dumps(Worker(tmp_path))
    assert cloudpickle.loads(pickled) == Worker(tmp_path)
    assert len(pickled) < 300 + len(str(tmp_path))


def test_a_worker_without_a_claim_leaves(on_disk, monkeypatch):
    monkeypatch.setenv("IWM_CLAIM", "somebody else's")
    assert Worker(on_disk.trial().path)() == "left: a newer claim has taken over"
