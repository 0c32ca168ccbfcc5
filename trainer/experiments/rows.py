"""What is compared: the paper's levels (Table 1), each level alone beside its baselines (Table 3), and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.errors import PeelVitError

FOLDER = Path(__file__).parent
DATASETS = ("cifar10", "fashion_mnist")

PLACES = (2, 4, 5)
"""Selectors of the experiments' six-block models: at a fourth, a half and three quarters, as 4, 7, 10 are of twelve."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: of its runs' folders.
        table: which comparison it belongs to.
        method, keep: as the table shows them.
        options: of `python -m trainer.train`, by field name, on top of the data set's recipe.
        drops: options of the recipe that the row does not have.
        against: name of the row that it is compared with.
    """

    name: str
    table: str
    method: str
    keep: str = "-"
    options: Mapping[str, Any] = field(default_factory=dict)
    drops: tuple[str, ...] = ()
    against: str = "dense"


def _level(name: str) -> Row:
    return Row(f"trilevel_{name}", "levels", f"Tri-Level/{name}", name, _trilevel(name))


def _trilevel(name: str) -> dict[str, Any]:
    return {"level": f"trilevel_{name}"} | _PERIOD | _SELECTORS


def _examples(method: str, label: str, keep: float | None, **options: Any) -> Row:
    ratio = {} if keep is None else {"example_keep": keep}
    own = _PERIOD if method in ("trilevel", "random") else {}
    return Row(
        f"examples-{method}-{keep or 'auto'}", "examples", label, "-" if keep is None else f"{keep:g}",
        {"example_method": method} | ratio | own | options,
    )  # fmt: skip


def _tokens(method: str, label: str, keep: float, **options: Any) -> Row:
    settings = {"token_method": method, "token_keep": keep}
    return Row(f"tokens-{method}-{keep}", "tokens", label, f"{keep:g}", settings | _SELECTORS | options)


def _attention(method: str, label: str, keep: float) -> Row:
    settings = {"attention_method": method, "attention_keep": keep}
    return Row(f"attention-{method}-{keep}", "attention", label, f"{keep:g}", settings | _SELECTORS)


def _longer(name: str, epochs: int) -> tuple[Row, Row]:
    """Dense and Tri-Level/0.9 for more epochs, compared with each other."""
    dense, options = f"{name}-dense", {"epochs": epochs, "val_interval": epochs}
    return (
        Row(dense, "longer", f"Dense, {epochs} epochs", "-", options, against=dense),
        Row(
            f"{name}-trilevel_0.9", "longer", f"Tri-Level/0.9, {epochs} epochs", "0.9", _trilevel("0.9") | options,
            against=dense,
        ),
    )  # fmt: skip


_PERIOD: dict[str, Any] = {"example_period": 1}
"""Epochs between exchanges of examples; the paper's 30 of 300 would be less than one of so few."""
_SELECTORS: dict[str, Any] = {"select_before": ",".join(map(str, PLACES))}
_FLOAT_ONLY = ("crop-padding", "color-jitter")
"""Of the recipes: the accelerator's own program crops and mirrors as it does on the board."""

DENSE = Row("dense", "levels", "Dense")

ROWS: tuple[Row, ...] = (
    DENSE,
    *(_level(name) for name in ("0.9", "0.8", "0.7")),
    *_longer("long", 10),
    *_longer("longest", 30),
    _examples("random", "Random", 0.8),
    _examples("active_bias", "Active Bias", 0.8),
    _examples("forgetting", "Forgetting, two phases", 0.8),
    _examples("el2n", "EL2N", 0.8, example_option="score_epochs=1"),
    _examples("infobatch", "InfoBatch", None),
    *(_examples("trilevel", "ours", keep) for keep in (0.9, 0.8, 0.7)),
    _tokens("static", "Static", 0.7),
    _tokens("dynamic_vit", "DynamicViT, from scratch", 0.7, method_option="distil=False"),
    _tokens("ia_red2", "IA-RED2", 0.7),
    _tokens("evo_vit", "Evo-ViT", 0.7, method_option="first_block=3"),
    _tokens("evit", "EViT", 0.7),
    _tokens("patch_dropout", "PatchDropout", 0.7),
    _tokens("tome", "ToMe", 0.7),
    *(_tokens("trilevel", "ours", keep) for keep in (0.9, 0.8, 0.7)),
    _attention("magnitude", "Magnitude", 0.5),
    _attention("longformer", "Longformer window", 0.2),
    *(_attention("selected", "ours", keep) for keep in (0.4, 0.3, 0.2)),
    Row("efficienttrain", "curriculum", "EfficientTrain++", "-", {"curriculum": "efficienttrain++"}),
    Row(
        "efficienttrain-trilevel_0.9", "curriculum", "EfficientTrain++ with Tri-Level/0.9", "0.9",
        {"curriculum": "efficienttrain++"} | _trilevel("0.9"),
    ),
    Row("fixed16-dense", "numerics", "Dense, 16-bit fixed point", "-", {"numerics": "fixed16"}, _FLOAT_ONLY),
    Row(
        "fixed16-trilevel_0.7", "numerics", "Tri-Level/0.7, 16-bit fixed point", "0.7",
        {"numerics": "fixed16"} | _trilevel("0.7"), _FLOAT_ONLY,
    ),
)  # fmt: skip

ROW_NAMES = tuple(row.name for row in ROWS)


def rows_named(names: list[str]) -> list[Row]:
    """Rows by name or by the name of their table; `PeelVitError` for a name that is neither."""
    chosen = []
    for name in names:
        found = [row for row in ROWS if name in (row.name, row.table)]
        if not found:
            raise PeelVitError(f"there is no row or table {name}; choose from {', '.join(ROW_NAMES)}")
        chosen += [row for row in found if row not in chosen]
    return chosen


def command(row: Row, dataset: str, seed: int, folder: Path) -> list[str]:
    """Arguments of `python -m trainer.train` for one run."""
    options: dict[str, Any] = recipe(dataset, row.drops) if row.drops else {"config": recipe_file(dataset)}
    options |= {**row.options, "seed": seed, "output": folder.parent, "experiment": folder.name}
    options["initial_checkpoint"] = start_weights(folder.parent, seed)
    arguments = []
    for name, value in options.items():
        arguments.append(f"--{name.replace('_', '-')}")
        arguments += [] if value is True else [str(value)]
    return arguments


def start_weights(folder: Path, seed: int) -> Path:
    """The file of the weights with which all rows of a seed begin."""
    return folder / f"start-{seed}.npz"


def recipe_file(dataset: str) -> Path:
    """The YAML file of what all rows of a data set have in common, relative to where the program runs if it can be."""
    path = FOLDER / f"{dataset}.yaml"
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def recipe(dataset: str, drops: tuple[str, ...] = ()) -> dict[str, Any]:
    """The recipe's options, without those that a row does not have."""
    import yaml

    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{dataset}.yaml").read_text())
    return {name: value for name, value in content.items() if name not in drops}
