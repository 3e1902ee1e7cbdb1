"""How fast an evaluation is: features, linear probe, k-NN, a step of each tuning protocol, MRR, and decoding.

    python -m benchmarks.evaluation [--json] [--device cpu|cuda] [--size toy|S|B] [--rows FILE] [--minutes M]

    features, ...    the target encoder on uint8 images that lie on the device, pooled, without gradients
    linear_probe     `logistic.probe` on n features of K classes, some iterations of L-BFGS and not to convergence
    knn              `knn.top1`: queries against a bank of n
    attentive        one step of `tuning.optimise` on uint8 images that lie on the device; the same for
                     predictor_finetune, encoder_finetune and end_to_end
    mrr              the protocol `mrr`: K views of each image, in fp32
    decode           `ImageFolder.centre` on JPEG files, in this process: what an evaluation reads its images by

Networks' FLOPs are torch's count of one pass over two images: matrix products alone, attention written out. A linear
probe's are 4 n D K an iteration (2 n D K forward, 2 n D K backward); a line search that evaluates more than once an
iteration gets no credit. Its tolerance is set to 0, so that it makes the iterations that it is asked for. Its seconds
per iteration are the difference between two fits, so standardising is not in them.

The probe and k-NN run where the code runs them, on the CPU; all of it has the trial's one thread. Seconds are those of
`clock`: of the processor with `--device cpu`, of the wall clock with cuda. Weights, images and features are random.

Where a batch does not fit the GPU's memory, half of it is measured. What fails is a row with its error, and what comes
too late for `--minutes` a row that says so.
"""

import copy
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Literal
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import clock, machine
from benchmarks.speed.cases import Case
from benchmarks.speed.photos import write_photos
from benchmarks.speed.rows import Rows
from iwm_core.config import DataConfig, TrialConfig, TuneConfig
from iwm_core.data import datasets, views
from iwm_core.data.loader import Batch
from iwm_core.evaluation import knn, latents, logistic, protocols
from iwm_core.evaluation.logistic import Fit, Split
from iwm_core.evaluation.subject import Subject
from iwm_core.evaluation.tuning import Learner, optimise, started
from iwm_core.models.block import attention_path, take_path
from iwm_core.training import flops, numerics, state

Precision = Literal["fp32", "bf16"]

COUNTED = 2  # images of the pass whose FLOPs are counted; batch norm needs two
LONG_S = 1.0  # a pass that takes longer is timed once
PROBE_S = 20.0  # about what the iterations of a linear probe after the first may take
TUNED = ("attentive", "predictor_finetune", "encoder_finetune", "end_to_end")

IMAGENET = TuneConfig(
    steps=125_100, batch_size=1024, lr=1e-3, layer_decay=0.75, label_smoothing=0.1, mixup=0.8, cutmix=1.0
)
"""sweeps/tune/imagenet.yaml."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Networks, and what is evaluated with them."""

    trial: TrialConfig
    train_images: int  # n: of a linear probe, and the bank of k-NN
    classes: int  # K
    queries: int = knn.CHUNK  # of k-NN, and the test images of a linear probe
    iterations: int = 20  # of a linear probe, at most
    files: int = 128
    cpu_batch: int = 4  # images; on CUDA `tune.batch_size`, and evaluation's own chunk without gradients
    cpu_bank: tuple[int, int] = (1, 16)  # images of MRR and views of each; on CUDA those of `evaluate`

    def config(self, device: torch.device) -> TrialConfig:
        """The trial whose evaluation is measured on `device`: bf16 on CUDA, but for the toy."""
        trial, tune = self.trial, replace(self.trial.tune, head_heads=self.trial.encoder.heads)
        trial = replace(trial, data=replace(trial.data, kind="random", random_images=64), tune=tune)
        if device.type == "cuda":
            return trial if self is SIZES["toy"] else replace(trial, train=replace(trial.train, precision="bf16"))
        evaluate = replace(trial.evaluate, bank_images=self.cpu_bank[0], bank_size=self.cpu_bank[1])
        return replace(trial, evaluate=evaluate, tune=replace(tune, batch_size=self.cpu_batch))


def _trial(encoder: str, *, predictor_depth: int) -> TrialConfig:
    case = Case(encoder=encoder, predictor_depth=predictor_depth, predictor_width=384, batch=1)
    return replace(case.config("iwm"), tune=IMAGENET)


TOY = Size(
    trial=TrialConfig(),
    train_images=2_000,
    classes=10,
    queries=200,
    iterations=10,
    files=8,
    cpu_batch=64,
    cpu_bank=(2, 32),
)
SIZES = {
    "toy": TOY,
    "S": Size(trial=_trial("S", predictor_depth=12), train_images=20_000, classes=100),
    "B": Size(trial=_trial("B", predictor_depth=18), train_images=100_000, classes=1_000),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing; `images_per_s` are queries of k-NN and views of MRR. What failed has an error and nothing else."""

    what: str
    sizes: str = ""
    precision: str = ""
    batch: int | None = None  # images of a pass
    seconds: float | None = None  # of a pass; of a linear probe, the fit of `iterations`
    images_per_s: float | None = None
    iterations: int | None = None
    s_per_iteration: float | None = None
    gflops_per_image: float | None = None
    gflops_per_s: float | None = None
    mfu: float | None = None  # share of the device's peak, where it is known
    peak_gb: float | None = None  # of the GPU's memory
    note: str = ""
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures one size and prints a table, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--size", choices=tuple(SIZES), help="default: toy on the CPU, B on CUDA")
    parser.add_argument("--minutes", type=float, default=math.inf, help="what would begin later is skipped")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * options.minutes
    device = torch.device(options.device)
    torch.set_num_threads(1)
    size = SIZES[options.size or {"cpu": "toy", "cuda": "B"}[device.type]]
    rows = measure(size, device=device, rows=Rows("evaluation", options.rows), deadline=deadline)
    print(json.dumps(machine.document(rows, device=device), indent=2) if options.json else table(rows, device=device))
    if any(row.error for row in rows):
        sys.exit(1)


def measure(size: Size, *, device: torch.device, rows: Rows, deadline: float = math.inf) -> list[Row]:
    """Every row of a size, the most wanted first; `deadline` is a moment of `time.monotonic`."""
    evaluation, found = Evaluation(size, device=device, deadline=deadline), list[Row]()
    with numerics.arithmetic(evaluation.config.train, device=device):
        for what, item in evaluation.items().items():
            found.append(attempted(what, item, deadline=deadline))
            rows.add(found[-1])
            _free()
    return found


def attempted(what: str, item: Callable[[str], Row], *, deadline: float) -> Row:
    """The item's row, or one that says why there is none."""
    if time.monotonic() >= deadline:
        return Row(what=what, note="skipped: out of time")
    try:
        return item(what)
    except Exception as error:
        return Row(what=what, error=f"{type(error).__name__}: {''.join(str(error).splitlines()[:1])}")


def fitting(at: Callable[[int], Row], *, batch: int) -> Row:
    """The row of `batch`, or of half of it where the GPU's memory does not hold that, and so on."""
    refused: list[int] = []
    while True:
        try:
            row = at(batch)
            return replace(row, note=f"out of memory at {', '.join(map(str, refused))}") if refused else row
        except RuntimeError as error:
            if not _out_of_memory(error) or batch < 2 * COUNTED:
                raise
        refused.append(batch)
        batch //= 2
        _free()


class Evaluation:
    """What can be measured of one size on one device."""

    def __init__(self, size: Size, *, device: torch.device, deadline: float) -> None:
        self.config = size.config(device)
        self._size, self._device, self._deadline = size, device, deadline

    def items(self) -> dict[str, Callable[[str], Row]]:
        """By name, in the order of their worth."""
        return {
            "features, bf16": partial(self._features, precision="bf16"),
            "features, fp32": partial(self._features, precision="fp32"),
            **dict.fromkeys(TUNED, self._tuned),
            "mrr": self._mrr,
            "decode": self._decode,
            "knn": self._knn,
            "linear_probe": self._linear_probe,
        }

    def _features(self, what: str, *, precision: Precision) -> Row:
        train, encoder = replace(self.config.train, precision=precision), copy.deepcopy(self._subject.encoder)

        def run(image_BCSS: Tensor) -> Tensor:
            with torch.no_grad(), numerics.autocast(train, device=self._device):
                return encoder(views.clean(image_BCSS)).mean(1)

        counted = _flops(encoder, partial(run, self._images(COUNTED)))
        take_path(encoder, attention_path(self._device.type, precision=precision))

        def at(batch: int) -> Row:
            step = partial(run, self._images(batch))
            return self._of_networks(what, step=step, batch=batch, flops_per_image=counted, precision=precision)

        return fitting(at, batch=latents.CHUNK if self._device.type == "cuda" else self._size.cpu_batch)

    def _linear_probe(self, what: str) -> Row:
        (train, test), (n, D), K = self._splits, self._splits[0].features.shape, self._size.classes
        l2, threads, fits = self.config.evaluate.probe_l2, self.config.train.threads, list[Fit]()

        def fit_s(iterations: int, *, on: Split) -> float:
            fit = partial(logistic.probe, on, test, l2=l2, threads=threads, max_iterations=iterations)
            with patch.object(logistic, "TOLERANCE", 0.0):
                once_s = clock.seconds(lambda: fits.append(fit()), device=self._device)
                again = 0 if once_s > LONG_S else 4  # short ones differ by noise, so the fastest of some counts
                return min(once_s, *(clock.seconds(fit, device=self._device) for _ in range(again)), math.inf)

        fit_s(1, on=Split(features=train.features[:200], labels=train.labels[:200]))  # loads what is loaded once
        one_s = fit_s(1, on=train)
        allowed_s = min(PROBE_S, (self._deadline - time.monotonic()) / 3)
        more = max(1, min(self._size.iterations, int(3 * allowed_s / one_s)))  # the first evaluates three times or more
        all_s = fit_s(1 + more, on=train)
        assert not fits[-1].converged, "an iteration is timed by how many were asked for"
        each_s = (all_s - one_s) / more
        if each_s <= 0:
            return Row(what=what, error=f"{1 + more} iterations took no longer than one: lost in noise")
        return Row(
            what=what,
            sizes=f"{n:,} x {D}, {K} classes",
            precision="fp32",
            batch=n,
            seconds=_digits(all_s),
            iterations=1 + more,
            s_per_iteration=_digits(each_s),
            gflops_per_s=_digits(4 * n * D * K / each_s / 1e9),
            note=f"{1 + more} iterations, not to convergence",
        )

    def _knn(self, what: str) -> Row:
        (train, test), evaluate = self._splits, self.config.evaluate
        (n, D), m = train.features.shape, len(test.labels)
        votes = {"neighbours": evaluate.neighbours, "temperature": evaluate.temperature}
        seconds = _seconds(lambda: knn.top1(train, test, **votes), device=self._device)
        row = _row(what, sizes=f"bank of {n:,} x {D}, {evaluate.neighbours} neighbours", batch=m, seconds=seconds)
        return replace(row, precision="fp32", gflops_per_s=_digits(2 * m * n * D / seconds / 1e9))

    def _tuned(self, what: str) -> Row:
        config, learner = self.config, protocols.TUNES[what](self._subject).train()
        counted = _step_flops(learner, self._batch(COUNTED))

        def at(batch: int) -> Row:
            learner.zero_grad(set_to_none=True)
            tuned = started(learner, config.tune)
            step = partial(optimise, tuned, self._batch(batch), config=config, device=self._device)
            precision = config.train.precision
            return self._of_networks(what, step=step, batch=batch, flops_per_image=counted, precision=precision)

        return fitting(at, batch=config.tune.batch_size)

    def _mrr(self, what: str) -> Row:
        subject, evaluate, device = self._subject, self.config.evaluate, self._device
        K, count = evaluate.bank_size, evaluate.bank_images

        def measured(images: int) -> None:
            config = replace(self.config, evaluate=replace(evaluate, bank_images=images))
            protocols.measured(protocols.AT_THE_END["mrr"], replace(subject, config=config))

        if device.type == "cuda":
            measured(1)  # not counted
        seconds = clock.seconds(lambda: measured(count), device=device)
        row = _row(what, sizes=f"{count} images x {K} views, {self._networks}", batch=K * count, seconds=seconds)
        return replace(row, precision="fp32")

    def _decode(self, what: str) -> Row:
        pixels, count = self.config.data.image_size, self._size.files
        with tempfile.TemporaryDirectory(prefix="iwm-bench-") as folder:
            kilobytes = write_photos(Path(folder), count=count)
            images = datasets.load(DataConfig(kind="imagefolder", image_size=pixels), split="train", root=folder)
            seconds = _seconds(lambda: images.centre(np.arange(count), size=pixels), device=self._device)
        return _row(what, sizes=f"JPEG of {kilobytes:.0f} KB to {pixels} px", batch=count, seconds=seconds)

    @cached_property
    def _subject(self) -> Subject:
        built = state.build(self.config, device=self._device)
        return Subject(config=self.config, networks=built.networks, target=built.target, device=self._device)

    @cached_property
    def _splits(self) -> tuple[Split, Split]:
        """Features that lie around one centre per class, to train on and to test."""
        source, D, K = np.random.default_rng(0), self.config.encoder.width, self._size.classes
        centre_KD = source.standard_normal((K, D), dtype=np.float32)

        def split(count: int) -> Split:
            label_n = source.integers(K, size=count)
            f_nD = source.standard_normal((count, D), dtype=np.float32) + 0.2 * centre_KD[label_n]
            return Split(features=f_nD, labels=label_n)

        return split(self._size.train_images), split(self._size.queries)

    @property
    def _networks(self) -> str:
        encoder, predictor = self.config.encoder, self.config.predictor
        sides = f"encoder {encoder.depth} x {encoder.width}, predictor {predictor.depth} x {predictor.width}"
        return f"{sides}, {self.config.data.image_size} px"

    def _images(self, batch: int) -> Tensor:
        """uint8 [B, C, S, S] on the device."""
        pixels = self.config.data.image_size
        return torch.randint(256, (batch, 3, pixels, pixels), dtype=torch.uint8, device=self._device)

    def _batch(self, batch: int) -> Batch:
        return Batch(0, self._images(batch), np.arange(batch) % self.config.data.random_images)

    def _of_networks(
        self, what: str, *, step: Callable[[], object], batch: int, flops_per_image: float, precision: Precision
    ) -> Row:
        """The row of a pass of networks over `batch` images."""
        cuda = self._device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(self._device)
        seconds = _seconds(step, device=self._device)
        achieved = flops_per_image * batch / seconds
        peak = flops.peak(machine.device_name(self._device), train=replace(self.config.train, precision=precision))
        return replace(
            _row(what, sizes=self._networks, batch=batch, seconds=seconds),
            precision=precision,
            gflops_per_image=_digits(flops_per_image / 1e9),
            gflops_per_s=_digits(achieved / 1e9),
            mfu=peak and _digits(achieved / peak),
            peak_gb=_digits(torch.cuda.max_memory_allocated(self._device) / 1e9) if cuda else None,
        )


def _step_flops(learner: Learner, batch: Batch) -> float:
    """Per image, forward and backward, of a copy of the learner."""
    shadow = copy.deepcopy(learner)
    return _flops(shadow, lambda: torch.stack(list(shadow.losses(batch).values())).sum().backward())


def _flops(networks: nn.Module, run: Callable[[], object]) -> float:
    """Per image, of a pass of `networks` over `COUNTED` of them; they take the explicit attention path, and keep it."""
    take_path(networks, "explicit")
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / COUNTED


def _seconds(step: Callable[[], object], *, device: torch.device) -> float:
    """Of a pass, after a first one that is not counted."""
    step()
    once_s = clock.seconds(step, device=device)
    if once_s > LONG_S:
        return once_s
    times = min(10, math.ceil(LONG_S / once_s)) if device.type == "cuda" else 1
    return median(clock.seconds(step, device=device, times=times) for _ in range(3))


def _row(what: str, *, sizes: str, batch: int, seconds: float) -> Row:
    return Row(what=what, sizes=sizes, batch=batch, seconds=_digits(seconds), images_per_s=_digits(batch / seconds))


def _digits(value: float) -> float:
    """Five of them."""
    return float(f"{value:.5g}")


def _out_of_memory(error: RuntimeError) -> bool:
    """CUDA's allocator has a type for it, its libraries have sentences."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in text or "ALLOC_FAILED" in text


def _free() -> None:
    """Gives the GPU's memory back that nothing holds any more."""
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def table(rows: Sequence[Row], *, device: torch.device) -> str:
    """Markdown, a column per field of a row."""
    names = [field.name for field in fields(Row)]
    lines = [f"| {' | '.join(names).replace('_per_', '/')} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(_shown(getattr(row, name)) for name in names)} |" for row in rows]
    return machine.with_conditions(lines, device=device)


def _shown(value: str | float | None) -> str:
    if isinstance(value, str | None):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}"


if __name__ == "__main__":
    main()
