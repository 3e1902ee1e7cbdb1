"""Tab, as bash, zsh and fish ask for it: each with the variables that its own script sets."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.report.content import FORMATS
from iwm_core.events import Finished
from orchestrator.planning.catalogue import PACKAGED, Catalogue
from orchestrator.planning.sweepfile import read

IWM = "import sys; sys.argv[0] = 'iwm'; from orchestrator.cli import main; main()"
(AXIS,) = [one for one in read(PACKAGED / "ablation" / "demo.yaml").design.bundles if one.keys == ("conditioning",)]
CONDITIONINGS = dict.fromkeys([*(row[0] for row in AXIS.rows), *Catalogue((PACKAGED,)).groups["conditioning"]])
"""The levels of the demo's axis, then every other option."""
HEAVY = ("torch", "hydra", "omegaconf", "sqlalchemy", "mlflow", "numpy", "submitit")


def ask(environ, *, cwd):
    """What a shell gets, and the modules that were loaded for it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", IWM],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3]), **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, set(re.findall(r"\|\s+(\w+)$", done.stderr, flags=re.MULTILINE))


def fish(line, *, cwd):
    out, loaded = ask(
        {"_IWM_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": line},
        cwd=cwd,
    )
    assert not loaded & set(HEAVY)
    return out.split()


@pytest.fixture
def root(on_disk):
    """A root with two trials in a sweep, and what only looks like one."""
    for seed in (0, 1):
        folder = on_disk.trial(seed)
        on_disk.attempt(folder, [Finished()]).close()
    on_disk.sweep("mine", [0, 1])
    for name in ("$(reboot)-0123abcd", "a b-0123abcd", "`x`"):
        (on_disk.layout.sweeps / name).mkdir()
        (on_disk.layout.trials / name).mkdir()
    return on_disk.layout.root


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("iwm plan de", ["demo"]),
        ("iwm plan demo cond", ["conditioning="]),
        (
            "iwm plan demo conditioning=none,",
            [f"conditioning=none,{name}" for name in CONDITIONINGS if name != "none"],
        ),
        ("iwm plan demo predictor.depth=", ["predictor.depth=2", "predictor.depth=4"]),
        ("iwm plan demo train.precision=b", ["train.precision=bf16"]),
        ("iwm plan nothing predictor.wid", ["predictor.width="]),
        ("iwm plan demo --launcher s", ["slurm"]),
        ("iwm report demo --format ", list(FORMATS)),
        ("iwm evaluate 0123 kn", ["knn"]),
        ("iwm cancel mine --where predictor.pos", ["predictor.position_noise="]),
        ("iwm plan --sweeps /nowhere de", []),
        ("iwm status --root /nowhere ", []),
    ],
)
def test_fish_is_offered_what_there_is(line, offered, tmp_path):
    assert fish(line, cwd=tmp_path) == offered


def test_sweeps_and_trials_of_the_root(root, tmp_path):
    trials = sorted(folder.name for folder in (root / "trials").iterdir() if re.fullmatch("[0-9a-f]{16}", folder.name))
    assert fish(f"iwm status --root {root} ", cwd=tmp_path) == ["mine"]
    assert fish(f"iwm logs --root {root} ", cwd=tmp_path) == trials
    assert fish(f"iwm hold --root {root} {trials[0][:5]}", cwd=tmp_path) == trials[:1]
    (by_id,) = fish(f"iwm report --root {root} mine-", cwd=tmp_path)
    assert (root / "sweeps" / by_id).is_dir()


def test_zsh_is_given_a_line_that_it_evaluates(tmp_path):
    out, _ = ask({"_IWM_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "iwm plan demo encoder=toy"}, cwd=tmp_path)
    assert out == '_arguments \'*: :(("encoder=toy"\n"encoder=toy_large"))\'\n'


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "place", "offered"),
    [
        ("iwm plan de", 2, "demo"),
        ("iwm plan demo conditioning = no", 5, "none"),
        ("iwm plan demo conditioning=no", 3, "conditioning=none"),
    ],
)
def test_bash_runs_the_script_that_iwm_prints(words, place, offered, tmp_path):
    (tmp_path / "iwm").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{IWM}" "$@"\n')
    (tmp_path / "iwm").chmod(0o755)
    script = f"""
        eval "$(iwm --show-completion bash)"
        COMP_WORDS=({words}) COMP_CWORD={place}
        _iwm_completion iwm
        echo "${{COMPREPLY[@]}}"
    """
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    done = subprocess.run(
        ["bash", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == offered, done.stderr
