"""What the demonstration trains, how long, and how a run of it is written as a command line of `train_edge.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from host.data.registry import SOURCES
from host.errors import PeelVitError
from host.options import LEVELS


@dataclass(frozen=True)
class Recipe:
    """A demonstration, counted in images, never in seconds, so that it is the same on every machine.

    Attributes:
        train_images, eval_images: chosen once and for all from the training and the held-out split.
        augment: random crops and flips; a run of a few epochs learns more without.
        keep: ratios of examples, tokens and attention connections of the sparse run.
        select_before: blocks, counted from 1, in front of which tokens and connections are selected.
        sparsity_warmup: epochs between which the keep ratios fall from 1.
        example_remove: part of the training images exchanged after each epoch.
        example_iterations: epochs after which there is an exchange.
    """

    dataset: str
    model: str
    train_images: int = 4000
    eval_images: int = 4000
    epochs: int = 4
    batch_size: int = 16
    learning_rate: float = 0.01
    warmup_epochs: float = 0.5
    augment: bool = False
    weight_decay: float = 1e-4
    keep: tuple[float, float, float] = LEVELS["0.7"]
    select_before: tuple[int, ...] = (3, 4, 5)
    sparsity_warmup: tuple[float, float] = (0.25, 2.0)
    example_remove: float = 0.05
    example_iterations: int = 3
    seed: int = 0
    log_interval: int = 5
    backend: str = "csim"
    config: str = "zcu102"
    data_dir: Path | None = None

    def dense(self) -> Recipe:
        """The same without sparsity."""
        return replace(self, keep=LEVELS["dense"])

    def arguments(self, initial: Path, output: Path) -> list[str]:
        """The command line of `train_edge.py`, from the float weights `initial`, into the folder `output`."""
        examples, tokens, attention = self.keep
        start, end = self.sparsity_warmup
        options: dict[str, object] = {
            "--backend": self.backend,
            "--config": self.config,
            "--dataset": self.dataset,
            "--model": self.model,
            "--initial-checkpoint": initial,
            "--train-images": self.train_images,
            "--eval-images": self.eval_images,
            "--epochs": self.epochs,
            "--batch-size": self.batch_size,
            "--opt": "momentum",
            "--lr": self.learning_rate,
            "--warmup-epochs": self.warmup_epochs,
            "--weight-decay": self.weight_decay,
            "--smoothing": 0,
            "--example-keep": examples,
            "--token-keep": tokens,
            "--attention-keep": attention,
            "--select-before": ",".join(map(str, self.select_before)),
            "--sparsity-warmup": f"{start:g}:{end:g}",
            "--example-period": 1,
            "--example-remove": self.example_remove,
            "--example-iterations": self.example_iterations,
            "--seed": self.seed,
            "--log-interval": self.log_interval,
            "--eval-interval": self.epochs,
            "--output": output,
        }
        if self.data_dir is not None:
            options["--data-dir"] = self.data_dir
        given = [text for name, value in options.items() for text in (name, str(value))]
        return given if self.augment else [*given, "--no-aug"]


RECIPES = {
    recipe.dataset: recipe
    for recipe in (
        Recipe("fashion_mnist", "vit:image=28,patch=4,dim=64,depth=6,heads=2,mlp=128"),
        Recipe("cifar10", "vit:image=32,patch=4,dim=64,depth=6,heads=2,mlp=128"),
    )
}


def recipe_for(dataset: str) -> Recipe:
    """The recipe of a data set; `PeelVitError` for one that has none."""
    if dataset not in RECIPES:
        known = "" if dataset in SOURCES else "an unknown data set, "
        raise PeelVitError(f"{dataset} is {known}not one of the demonstration; choose {' or '.join(RECIPES)}")
    return RECIPES[dataset]
