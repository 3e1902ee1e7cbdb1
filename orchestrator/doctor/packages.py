"""Python, torch with its devices, and the libraries between us and the site.

torch is loaded by a child process, so that looking for it costs this one neither memory nor a crash.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata

from orchestrator.doctor.finding import Finding, Verdict

SUBJECT = "packages"
LIBRARIES = {
    "iwm-orchestrator": "the version that every attempt's journal names",
    "submitit": "starts the workers",
    "mlflow": "keeps runs, metrics and reports",
}
TORCH_S = 120
_ASK_TORCH = """
import json, torch
found = [torch.cuda.get_device_name(device) for device in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "devices": found}))
"""


def examine_packages(python: str = sys.executable) -> list[Finding]:
    """The findings on this interpreter and what it can import."""
    return [_python(python), *_torch(python), *[_library(name, use) for name, use in LIBRARIES.items()]]


def _python(python: str) -> Finding:
    means = f"workers run {python}: it must be at this path on every node"
    return Finding(subject=SUBJECT, name="python", verdict=Verdict.OK, value=platform.python_version(), means=means)


def _torch(python: str) -> list[Finding]:
    """Its version, and the devices it sees on this host."""
    code, out, err = _run([python, "-c", _ASK_TORCH])
    if code:
        return [_broken_torch(err)]
    told = json.loads(out.splitlines()[-1])
    version = Finding(
        subject=SUBJECT,
        name="torch",
        verdict=Verdict.OK,
        value=told["version"],
        means="part of every attempt's fingerprint: bits are promised between equal versions only",
    )
    return [version, _devices(told["devices"])]


def _broken_torch(err: str) -> Finding:
    last = (err.strip().splitlines() or ["it said nothing"])[-1]
    means = "no trial can train here: install torch for this interpreter again"
    return Finding(subject=SUBJECT, name="torch", verdict=Verdict.FAILED, value=last, means=means)


def _devices(names: Sequence[str]) -> Finding:
    if names:
        shown = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
        means = "the local launcher deals these out to its slots"
        return Finding(subject=SUBJECT, name="CUDA devices", verdict=Verdict.OK, value=shown, means=means)
    means = "trials on this host train on the CPU; the nodes of a partition may have GPUs of their own"
    return Finding(subject=SUBJECT, name="CUDA devices", verdict=Verdict.NOT_THERE, value="none here", means=means)


def _library(name: str, use: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        means = "it belongs to this program: pip install iwm-orchestrator"
        return Finding(subject=SUBJECT, name=name, verdict=Verdict.FAILED, value="not installed", means=means)
    return Finding(subject=SUBJECT, name=name, verdict=Verdict.OK, value=version, means=use)


def _run(command: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TORCH_S, check=False)
    except OSError as error:
        return 127, "", str(error)
    except subprocess.TimeoutExpired:
        return 124, "", f"importing torch took longer than {TORCH_S} s"
    return done.returncode, done.stdout, done.stderr
