"""From a JPEG file to a trained step: images per second of each stage, and of the whole.

    python benchmarks/pipeline.py [--json] [--device cpu|cuda] [--workers 0,2] [--rounds 5] [--batches 30]
                                  [--rows FILE] [--toy]

    decode       open a file of 500 x 375 and make it pixels
    crop         cut, resize to 224, flip: the rest of what the loader does
    transfer     uint8 to the device, through pinned memory; only where there is another device
    photometric  both views and the action, on the device
    masks        context and targets, on the device
    step         all that training does with images that are there, photometric and masks included
    loader       decode and crop, by so many worker processes
    whole        loader, transfer and step together, as training runs them

Stages run in turns; a second is one of the processor's time (of the wall clock on a GPU), but for `loader` and `whole`,
which are several processes: there it is one of the wall clock. Files are cut from scikit-learn's two photographs.
"""

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import cases, clock, machine
from benchmarks.speed.contenders import compile_blocks
from benchmarks.speed.photos import HEIGHT, WIDTH, write_photos
from benchmarks.speed.rows import Rows
from iwm_core.config import DataConfig, RuntimeConfig, TrialConfig
from iwm_core.data import datasets, loader, masks, views
from iwm_core.data.datasets import ImageDataset
from iwm_core.training import numerics, state
from iwm_core.training.distributed import ALONE
from iwm_core.training.step import optimise, prepared

PHOTOS = 512


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stage."""

    stage: str
    images_per_s: float
    ms_per_image: float
    clock: str  # whose seconds: `processor` or `wall`


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every stage and prints a table, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--workers", default="0,2", help="numbers of loader processes")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every stage")
    parser.add_argument("--batches", type=int, default=30, help="batches of `loader`; `whole` takes a fifth of them")
    parser.add_argument("--toy", action="store_true", help="tiny networks, to see that it runs")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    device, workers = torch.device(options.device), [int(number) for number in options.workers.split(",")]
    with tempfile.TemporaryDirectory(prefix="iwm-bench-") as folder:
        photos = 16 if options.toy else PHOTOS
        kilobytes = write_photos(Path(folder), count=photos)
        case = cases.TOY if options.toy else cases.PIPELINE[options.device]
        pipeline = Pipeline(of_files(case.config("iwm")), root=Path(folder), device=device, by_block=case.by_block)
        kept, rows = Rows("pipeline", options.rows), list[Row]()
        for row in pipeline.rows(workers=workers, rounds=options.rounds, batches=options.batches):
            kept.add(row)
            rows.append(row)
    files = f"{photos} JPEG of {WIDTH} x {HEIGHT}, {kilobytes:.0f} KB"
    shown = machine.document(rows, device=device, files=files)
    print(json.dumps(shown, indent=2) if options.json else table(rows, device=device, files=files))


def of_files(config: TrialConfig) -> TrialConfig:
    """The same trial on a folder of images."""
    return dataclasses.replace(config, data=DataConfig(kind="imagefolder", image_size=config.data.image_size))


class Pipeline:
    """The stages of one trial over one folder of files."""

    def __init__(self, config: TrialConfig, *, root: Path, device: torch.device, by_block: bool = False) -> None:
        self.config, self.device, self.batch = config, device, config.train.batch_size
        self._dataset: ImageDataset = datasets.load(config.data, split="train", root=str(root))
        self._files = sorted(root.rglob("*.jpg"))
        self._state = state.build(config, device=device)
        self._networks = prepared(self._state, config=config, runtime=RuntimeConfig(), world=ALONE)
        if by_block:
            compile_blocks(self._state.networks, self._state.target)

    def rows(self, *, workers: Sequence[int], rounds: int, batches: int) -> Iterator[Row]:
        """Every stage alone, then the loader and the whole with so many workers; each row when it is measured."""
        yield from self.stages(rounds=rounds)
        for number in workers:
            yield self.loader(workers=number, batches=batches)
            yield self.whole(workers=number, batches=max(2, batches // 5))

    def stages(self, *, rounds: int) -> list[Row]:
        """Each stage alone, in turns."""
        with numerics.arithmetic(self.config.train, device=self.device):
            spent = clock.in_turns(self._stages(), device=self.device, rounds=rounds)
        seconds = {stage: median(each) / self.batch for stage, each in spent.items()}
        seconds["crop"] -= seconds["decode"]
        kind = "processor" if self.device.type == "cpu" else "wall"
        return [_row(stage, each, clock=kind) for stage, each in seconds.items()]

    def _stages(self) -> dict[str, Callable[[], object]]:
        """What each stage does to one batch; `crop` has its decoding with it."""
        image_BCHW = loader.batch_at(self._dataset, self.config, 0).image_BCHW
        resident_BCHW = image_BCHW.to(self.device)
        runs: dict[str, Callable[[], object]] = {
            "decode": self._decode,
            "crop": lambda: loader.batch_at(self._dataset, self.config, 1),
            "transfer": lambda: self._moved(image_BCHW),
            "photometric": lambda: views.make_views(resident_BCHW, self.config, 1),
            "masks": lambda: masks.sample(self.config, 1, batch=self.batch, device=self.device),
            "step": lambda: self._step(resident_BCHW),
        }
        return {stage: run for stage, run in runs.items() if stage != "transfer" or self.device.type == "cuda"}

    def _step(self, image_BCHW: Tensor) -> None:
        optimise(self._state, image_BCHW=image_BCHW, config=self.config, called=self._networks)

    def _decode(self) -> None:
        for index in loader.indices(self.config, len(self._dataset), 1):
            with Image.open(self._files[index]) as image:
                image.load()

    def _moved(self, image_BCHW: Tensor) -> Tensor:
        return image_BCHW.pin_memory().to(self.device, non_blocking=True)

    def loader(self, *, workers: int, batches: int) -> Row:
        """Batches as training gets them, and nothing done with them."""
        return _row(f"loader, {workers} workers", self._stream(workers=workers, batches=batches), clock="wall")

    def whole(self, *, workers: int, batches: int) -> Row:
        """Training."""
        with numerics.arithmetic(self.config.train, device=self.device):
            seconds = self._stream(workers=workers, batches=batches, train=True)
        return _row(f"whole, {workers} workers", seconds, clock="wall")

    def _stream(self, *, workers: int, batches: int, train: bool = False) -> float:
        """Seconds per image over `batches`; the first, for which processes are started, is not counted."""
        steps = dataclasses.replace(self.config.train, steps=batches + 1)
        config = dataclasses.replace(self.config, train=steps)
        with closing(loader.batches(self._dataset, config, start=0, workers=workers)) as stream:
            next(stream)
            began = time.perf_counter()
            for batch in stream:
                if train:
                    image_BCHW = batch.image_BCHW if self.device.type == "cpu" else self._moved(batch.image_BCHW)
                    self._step(image_BCHW)
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            return (time.perf_counter() - began) / (batches * self.batch)


def _row(stage: str, seconds: float, *, clock: str) -> Row:
    return Row(stage=stage, images_per_s=round(1 / seconds, 2), ms_per_image=round(1000 * seconds, 4), clock=clock)


def table(rows: Sequence[Row], *, device: torch.device, files: str) -> str:
    """Markdown."""
    lines = ["| stage | images/s | ms per image | seconds of the |", "|---|---|---|---|"]
    lines += [f"| {row.stage} | {row.images_per_s:,.4g} | {row.ms_per_image:.3f} | {row.clock} |" for row in rows]
    return machine.with_conditions(lines, device=device, files=files)


if __name__ == "__main__":
    main()
