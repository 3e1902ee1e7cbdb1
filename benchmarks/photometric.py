"""Two views per image, batched, against the same operations one image at a time through torchvision v2.

    python benchmarks/photometric.py [--json] [--seconds 2]

Both sides get the same uint8 crops and the same parameters, run on one thread of the CPU, and end in the two normalised
views. The batched side also draws its parameters and makes the action, as in training. The loop applies to each image
only what its parameters ask for; torchvision has no YIQ rotation, so there the loop multiplies its pixels by the same
3 x 3 matrix. The two are timed in turns of a tenth of a second, so that a noisy machine disturbs both, and by the CPU
time of the thread, so that waiting for a core does not count.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
import torchvision
from torch import Tensor
from torchvision.transforms.v2 import functional as one

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import machine
from iwm_core.config import PhotometricConfig, TrialConfig
from iwm_core.data import photometric, pixels, views
from iwm_core.randomness import uniform

ROWS: tuple[tuple[int, Literal["hsv", "yiq"], int], ...] = (
    (32, "yiq", 64),
    (32, "hsv", 64),
    (224, "yiq", 16),
    (224, "hsv", 16),
)
"""(pixels, hue, batch): the first is the row that is promised to be at least four times the loop."""

SLICE_S = 0.1
CPU = torch.device("cpu")
FACTS = {"processor": machine.device_name(CPU), "torchvision": torchvision.__version__}


@dataclass(frozen=True)
class Row:
    """Images per second of CPU time, each image twice transformed."""

    size: int
    hue: str
    batch: int
    batched_ips: float
    loop_ips: float
    ratio: float


def main() -> None:
    """Measures every row and prints a table, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--seconds", type=float, default=2.0, help="time per side of a row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(size, hue=hue, batch=batch, seconds=options.seconds) for size, hue, batch in ROWS]
    print(json.dumps(document(rows), indent=2) if options.json else table(rows))


def measure(size: int, *, hue: Literal["hsv", "yiq"], batch: int, seconds: float) -> Row:
    """One row: both sides in turn until `seconds` have gone into each."""
    config = TrialConfig(photometric=PhotometricConfig(hue=hue))
    image_BCHW = (torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)) * 255).byte()
    sides: tuple[Callable[[int], object], ...] = (
        lambda step: views.make_views(image_BCHW, config, step),
        lambda step: loop_views(image_BCHW, config, step),
    )
    for run in sides:
        run(0)
    spent, images, step = [0.0, 0.0], [0, 0], 1
    while min(spent) < seconds:
        for side, run in enumerate(sides):
            began = time.thread_time()
            while time.thread_time() - began < SLICE_S:
                run(step)
                images[side] += batch
            spent[side] += time.thread_time() - began
        step += 1
    batched, loop = images[0] / spent[0], images[1] / spent[1]
    return Row(size, hue, batch, round(batched, 1), round(loop, 1), round(batched / loop, 2))


def loop_views(image_BCHW: Tensor, config: TrialConfig, step: int) -> list[tuple[Tensor, Tensor]]:
    """The same views, image by image."""
    shape = (len(image_BCHW), photometric.UNIFORMS)
    p_BP = photometric.draw(config.photometric, uniform(config.seed, "source", step, shape), view="source")
    q_BP = photometric.draw(config.photometric, uniform(config.seed, "target", step, shape), view="target")
    return [
        (one_view(image, p, config=config.photometric), one_view(image, q, config=config.photometric))
        for image, p, q in zip(image_BCHW, p_BP.tolist(), q_BP.tolist(), strict=True)
    ]


def one_view(image_CHW: Tensor, params: list[float], *, config: PhotometricConfig) -> Tensor:
    """One image through torchvision, skipping what its parameters leave alone."""
    brightness, contrast, saturation, hue, grayscale, sigma, solarize = params
    x = one.to_dtype(image_CHW, torch.float32, scale=True)
    if brightness != 1:
        x = one.adjust_brightness(x, brightness)
    if contrast != 1:
        x = one.adjust_contrast(x, contrast)
    if saturation != 1:
        x = one.adjust_saturation(x, saturation)
    if hue:
        x = one.adjust_hue(x, hue) if config.hue == "hsv" else _turn(x, hue)
    if grayscale:
        x = one.rgb_to_grayscale(x, num_output_channels=3)
    if sigma:
        kernel = photometric.blur_kernel(config, size=x.shape[-1])
        x = one.gaussian_blur(x, [kernel, kernel], [sigma, sigma])
    if solarize:
        x = one.solarize(x, config.solarize_threshold)
    return one.normalize(x, list(views.MEAN), list(views.STD))


def _turn(x_CHW: Tensor, turns: float) -> Tensor:
    matrix = pixels.yiq_rotation(torch.tensor([turns]))[0]
    return (matrix @ x_CHW.flatten(1)).view_as(x_CHW).clamp_(0, 1)


def document(rows: list[Row]) -> dict[str, object]:
    """What `--json` prints; the top level repeats the first row."""
    first = {key: asdict(rows[0])[key] for key in ("batched_ips", "loop_ips", "ratio")}
    return {**first, **machine.document(rows, device=CPU, **FACTS)}


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| pixels, hue | batch | batched images/s | loop images/s | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.size} px, {row.hue} | {row.batch} | {row.batched_ips:,.0f} | {row.loop_ips:,.0f} | {row.ratio:.1f} |"
        for row in rows
    ]
    return machine.with_conditions(lines, device=CPU, **FACTS)


if __name__ == "__main__":
    main()
