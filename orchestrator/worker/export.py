"""Export a trial's trained encoder to a file that timm loads."""

from dataclasses import replace
from pathlib import Path

from iwm_core.config import TrialConfig
from orchestrator.errors import RequestError
from orchestrator.records import journal
from orchestrator.records.layout import TrialFolder
from orchestrator.trial.lifecycle import newest_claim
from orchestrator.trial.sweep import Resources
from orchestrator.worker.attempt import parent_in


def export_encoder(folder: TrialFolder, *, output: Path | None, online: bool = False) -> tuple[Path, str]:
    """Writes the encoder of a finished trial; returns the file and the line of Python that loads it.

    The encoder is the moving average, or the trained one with `online`; the default `output` is in the trial's folder.

    Raises:
        RequestError: the trial is an evaluation; `value` is the trial to export instead.
        CheckpointError: the trial has no checkpoint of its last step.
        ConfigError: the file cannot be written.
    """
    from iwm_core.evaluation.trial import final_state
    from iwm_core.models import export

    parent = parent_in(folder.path)
    config: TrialConfig = parent.config
    if config.pretrain:
        raise RequestError(
            f"trial {folder.id} is an evaluation of {config.pretrain}: export that trial instead", value=config.pretrain
        )
    claim = newest_claim(journal.read_control(folder))
    weights_file = Resources.of(claim.resources).weights_file if claim else ""
    trained, _ = final_state(replace(config, pretrain=folder.id), parent=parent, weights_file=weights_file)
    averaged = not online and config.target == "ema"
    file = (output or folder.path / ("encoder.pt" if averaged else "encoder-online.pt")).resolve()
    export.write(trained.target.encoder if averaged else trained.networks.encoder, file=file)
    return file, export.create_line(config, file=file)
