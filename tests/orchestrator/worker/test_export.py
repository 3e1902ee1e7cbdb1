"""A trained encoder for others: the file, and the line that loads it."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from typer.testing import CliRunner

from iwm_core.errors import CheckpointError
from orchestrator.cli import app
from orchestrator.errors import RequestError
from orchestrator.launching.leases import write_trial
from orchestrator.planning.expand import single
from orchestrator.records import journal
from orchestrator.trial.events import Claimed
from orchestrator.trial.value import Trial
from orchestrator.worker.attempt import Job, run_attempt
from orchestrator.worker.export import export_encoder
from tests.fakes.tiny import TINY

TRIAL = single([*TINY, "train.steps=2"]).trial


@pytest.fixture
def folder(on_disk):
    """A trial that has finished."""
    folder = write_trial(on_disk.layout, TRIAL)
    journal.claim(folder, Claimed(claim=0, token="a"))
    run_attempt(folder, job=Job(token="a"), should_stop=lambda: None)
    return folder


def test_the_line_loads_the_moving_average_or_the_encoder_itself(folder, tmp_path):
    averaged = export_encoder(folder, output=None)
    online = export_encoder(folder, output=tmp_path / "o.pt", online=True)
    assert averaged[0] == folder.path / "encoder.pt"
    models = [eval(line, {"timm": timm}) for _, line in (averaged, online)]
    first, second = (model.state_dict() for model in models)
    assert set(first) == set(second)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_the_verb_prints_the_file_and_the_line(folder, on_disk):
    words = ["export", TRIAL.id[:8], "--root", str(on_disk.layout.root), "--json"]
    said = json.loads(CliRunner().invoke(app, words).output)
    assert said["file"] == str(folder.path / "encoder.pt")
    assert eval(said["create_model"], {"timm": timm}).num_features == TRIAL.config.encoder.width


@pytest.mark.parametrize("name", ["e[red].pt", "e[/b].pt", "e:smile:.pt"])
def test_a_path_is_printed_as_it_is(folder, on_disk, tmp_path, name):
    words = ["export", TRIAL.id[:8], "--root", str(on_disk.layout.root), "--output", str(tmp_path / name)]
    assert CliRunner().invoke(app, words).output.splitlines()[0] == str(tmp_path / name)


def test_what_has_no_encoder_of_its_own_is_refused(on_disk):
    evaluation = write_trial(on_disk.layout, Trial(replace(TRIAL.config, pretrain=TRIAL.id)))
    with pytest.raises(RequestError) as caught:
        export_encoder(evaluation, output=None)
    assert caught.value.value == TRIAL.id
    with pytest.raises(CheckpointError) as unfinished:
        export_encoder(write_trial(on_disk.layout, TRIAL), output=None)
    assert unfinished.value.path == on_disk.layout.trial(TRIAL.id).checkpoints
