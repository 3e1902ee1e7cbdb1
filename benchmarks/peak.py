"""What a device reaches at best: large matrix products, and copies of its memory.

    python benchmarks/peak.py [--json] [--device cpu|cuda] [--size 8192] [--rows FILE]

MFU is stated against the data sheet (`iwm_core/training/flops.py`) and against the first row here. Operands are random:
on zeros a card draws less power, and clocks higher. Mean of 10 after 3 that are not counted.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import clock, machine
from benchmarks.speed.rows import Rows

COUNTED, BEFORE = 10, 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One operation."""

    what: str
    value: float
    unit: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints a table, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--size", type=int, default=8192, help="rows and columns of the matrices")
    options = parser.parse_args(arguments)
    device, kept, rows = torch.device(options.device), Rows("peak", options.rows), list[Row]()
    for measured in (bf16, tf32, fp32, copies):
        rows.append(measured(options.size, device=device))
        kept.add(rows[-1])
    shown = machine.document(rows, device=device)
    print(json.dumps(shown, indent=2) if options.json else table(rows, device=device))


def bf16(size: int, *, device: torch.device) -> Row:
    """A product of two square bf16 matrices."""
    return _product(size, what="bf16", dtype=torch.bfloat16, device=device)


def tf32(size: int, *, device: torch.device) -> Row:
    """The same of fp32 matrices whose factors are cut to TF32, where the device has that; a trial never does this."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return _product(size, what="TF32", dtype=torch.float32, device=device)
    finally:
        torch.set_float32_matmul_precision(before)


def fp32(size: int, *, device: torch.device) -> Row:
    """The same of fp32 matrices."""
    return _product(size, what="fp32", dtype=torch.float32, device=device)


def copies(size: int, *, device: torch.device) -> Row:
    """A copy of 32 such fp32 matrices, bytes read and written."""
    x_SS = torch.rand(32, size, size, device=device)
    y_SS = torch.empty_like(x_SS)
    seconds = _seconds(lambda: y_SS.copy_(x_SS), device=device)
    return Row(what="copy in memory", value=_digits(2 * x_SS.nbytes / seconds / 1e12), unit="TB/s")


def _product(size: int, *, what: str, dtype: torch.dtype, device: torch.device) -> Row:
    x_SS, y_SS = (torch.rand(size, size, device=device).sub(0.5).to(dtype) for _ in range(2))
    z_SS = torch.empty(size, size, dtype=dtype, device=device)
    seconds = _seconds(lambda: torch.mm(x_SS, y_SS, out=z_SS), device=device)
    return Row(what=f"{what} product, {size} x {size}", value=_digits(2 * size**3 / seconds / 1e12), unit="TFLOP/s")


def _digits(value: float) -> float:
    """Four of them: a CPU core is at 0.05, a GPU at 800."""
    return float(f"{value:.4g}")


def _seconds(run: Callable[[], object], *, device: torch.device) -> float:
    clock.seconds(run, device=device, times=BEFORE)
    return clock.seconds(run, device=device, times=COUNTED)


def table(rows: Sequence[Row], *, device: torch.device) -> str:
    """Markdown."""
    lines = ["| what | reached |", "|---|---|", *(f"| {row.what} | {row.value:g} {row.unit} |" for row in rows)]
    return machine.with_conditions(lines, device=device)


if __name__ == "__main__":
    main()
