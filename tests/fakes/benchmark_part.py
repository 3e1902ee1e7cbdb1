"""A part of `benchmarks/gpu.py`: it measures one row and then does what its argument says: end, fail or hang."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    value: float
    unit: str


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("fate", choices=("end", "fail", "hang"))
    parser.add_argument("--device")
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args()
    Rows("peak", options.rows).add(Row(what="bf16 product", value=2.0, unit="TFLOP/s"))
    if options.fate == "hang":
        print("hangs now", flush=True)
        time.sleep(600)
    sys.exit(1 if options.fate == "fail" else 0)
