"""The options that every benchmark of speed has."""

import argparse
from pathlib import Path

import torch


def parser(about: str | None) -> argparse.ArgumentParser:
    """--json, --device and --rows; `about` is the module's docstring, whose first line describes it."""
    options = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    options.add_argument("--json", action="store_true", help="print one JSON document")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--rows", type=Path, help="append each row to this file of JSON lines once it is measured")
    return options
