r"""One predictor for several tasks; a learned token selects the task.

    l_t = W_t head_t(p_phi([z, u_t], a = 0, all positions)),    t uniform over the tasks, one for each step

    multitask_<task>_top1              clean centre crops of the task's test split
    multitask_<task>_majority_top1     always the class most frequent in training
    multitask_top1, multitask_majority_top1          their means over the tasks

Symbols: z = f_ema(x) frozen, u_t the learned token of task t, in the encoder's width, that joins the context, p_phi the
predictor, a = 0 the null action, head_t an attentive head. Source: one predictor conditioned on task tokens, tuned on
four data sets [C2 S1]; uniform sampling, one head per task [OURS]. The token enters the predictor with the position of
patch 0, a constant that it can learn away. The baseline is the trial with `tune.predictor=random`.

Each step trains one task, drawn uniformly. Batches are cropped in the trainer process.

Shapes: B images, C channels, S pixels, N patches, D width, K classes, T tasks.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from iwm_core.data import tasks, views
from iwm_core.data.loader import Batch, batch_at
from iwm_core.data.masks import Masks
from iwm_core.errors import DataError
from iwm_core.evaluation import finetune, heads, logistic
from iwm_core.evaluation.finetune import cross_entropy, mixed
from iwm_core.evaluation.latents import spread
from iwm_core.evaluation.subject import Subject, everywhere, null_action
from iwm_core.evaluation.tuning import Learner, Rate, as_tuned, rates_of
from iwm_core.models.targets import width_of_targets
from iwm_core.randomness import generator, torch_seed
from iwm_core.tensors import onto, seeded


class Multitask(Learner):
    """The predictor, a token and a head for each task; the encoder is frozen."""

    frozen = ("networks.encoder",)

    def __init__(self, subject: Subject) -> None:
        """Load every task.

        Raises:
            ConfigError: no predictor, or unknown tasks.
            DataError: missing images, or a task with one class.
        """
        super().__init__()
        config = subject.config
        self.config, self.device = config, subject.device
        self.tasks, self.tests = tasks.load(config.data, names=config.tune.tasks, root=subject.data_root)
        for name, task in self.tasks.items():
            if task.num_classes < 2:
                raise DataError.wrong("tune.tasks", name, "has one class: leave it out, or add class folders to it")
        self.digest = "+".join(dict.fromkeys(task.images.digest for task in self.tasks.values()))
        self.networks: Any = finetune.start_of(subject, encoder=False, predictor=True)
        width = self.networks.encoder.width
        with seeded(torch_seed(config.seed, "tune")):
            token_TD = nn.init.trunc_normal_(torch.empty(len(self.tasks), width), std=0.02)
        self.tokens = Tokens(token_TD).to(subject.device)
        made = {
            name: heads.attentive(config, width=width_of_targets(config), classes=task.num_classes)
            for name, task in self.tasks.items()
        }
        self.heads = nn.ModuleDict(made).to(subject.device)

    def batches(self, *, start: int, workers: int) -> Generator[Batch, None, None]:
        config = as_tuned(self.config)
        for step in range(start, config.train.steps):
            yield batch_at(self.tasks[self.task_at(step)].images, config, step)

    def task_at(self, step: int) -> str:
        """Return the task of a step, a function of (seed, step)."""
        names = list(self.tasks)
        return names[int(generator(self.config.seed, "task", step).integers(len(names)))]

    def logits(self, x_BCSS: Tensor, *, task: str) -> Tensor:
        """[B, K] of one task."""
        with torch.no_grad():
            z_BND = self.networks.encoder(x_BCSS)
        token_BD = self.tokens.token_TD[list(self.tasks).index(task)].expand(len(z_BND), -1)
        told_BND, masks = with_token(z_BND, token_BD)
        return self.heads[task](self.networks.predict(told_BND, null_action(z_BND), masks))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        name = self.task_at(batch.step)
        task = self.tasks[name]
        x_BCSS = views.clean(onto(batch.image_BCHW, self.device))
        label_B = onto(torch.from_numpy(task.labels[batch.index_B]), self.device)
        x_BCSS, share_BK = mixed(x_BCSS, label_B, classes=task.num_classes, config=self.config, step=batch.step)
        return {"loss": cross_entropy(self.logits(x_BCSS, task=name), share_BK, config=self.config)}

    def rates(self) -> list[Rate]:
        predictor = rates_of(self.networks.predictor, share=finetune.predictor_share(self.config.tune))
        return [*rates_of(self.heads, share=1.0), *rates_of(self.tokens, share=1.0), *predictor]

    def score(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, task in self.tests.items():
            indices = spread(len(task.images), at_most=self.config.evaluate.probe_test_images)
            labels, size = task.labels[indices], self.config.data.image_size
            said = finetune.classes_of(_OneTask(self, name), task.images, indices, device=self.device, size=size)
            found[f"multitask_{name}_top1"] = float((said[name].numpy() == labels).mean())
            found[f"multitask_{name}_majority_top1"] = logistic.majority(self.tasks[name].labels, labels)
        return {**found, **_means(found)}


class Tokens(nn.Module):
    """One token per task, as a module so that the optimiser gets it."""

    def __init__(self, token_TD: Tensor) -> None:
        super().__init__()
        self.token_TD = nn.Parameter(token_TD)


@dataclass(frozen=True)
class _OneTask:
    """A multitask learner as one that answers for one task."""

    learner: Multitask
    name: str

    def logits(self, x_BCSS: Tensor) -> dict[str, Tensor]:
        return {self.name: self.learner.logits(x_BCSS, task=self.name)}


def with_token(z_BND: Tensor, token_BD: Tensor) -> tuple[Tensor, Masks]:
    """The latents with a token behind them, and what is then context and target."""
    masks = everywhere(z_BND)
    first_B1 = torch.zeros_like(masks.context_BK[:, :1])
    context = torch.cat([masks.context_BK, first_B1], dim=1)
    return torch.cat([z_BND, token_BD[:, None].to(z_BND)], dim=1), Masks(context, masks.target_BM)


def _means(found: dict[str, float]) -> dict[str, float]:
    majority = [value for name, value in found.items() if name.endswith("_majority_top1")]
    ours = [value for name, value in found.items() if not name.endswith("_majority_top1")]
    return {"multitask_top1": sum(ours) / len(ours), "multitask_majority_top1": sum(majority) / len(majority)}
