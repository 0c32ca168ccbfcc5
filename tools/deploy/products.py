"""What a board is given to train: models with their keep ratios, their programs and their starting weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hls.spec.config import HardwareConfig
from host.data.registry import SOURCES
from host.deployment import PROGRAMS, program_of
from host.errors import PeelVitError
from host.float_weights import load_float_weights, save_safetensors
from host.initialisation import initial_parameters
from host.layout import Layout
from host.model import SELECT_BEFORE, ViTConfig, parse_model
from host.options import LEVELS
from sim.demo.recipe import RECIPES
from sim.demo.weights import short_run_weights

WEIGHTS = "weights"
SEED = 0
LEVEL = "0.7"
"""Of the sparse programs; the dense ones come with them."""

INPUTS_AND_RESULTS = ("patches", "labels", "hyperparameters", "logits", "terms", "variance")


@dataclass(frozen=True)
class Product:
    """A model by the name of its folder, where its selectors stand, and the images of a training micro-batch."""

    name: str
    model: ViTConfig
    select_before: tuple[int, ...] = SELECT_BEFORE
    batch: int = 16
    demo: bool = False

    def descriptions(self) -> dict[str, dict[str, Any]]:
        """The programs by name, as JSON: training and inference of one image, dense and sparse."""
        levels = {"dense": LEVELS["dense"], LEVEL: LEVELS[LEVEL]}
        return {
            f"{mode}-{level}-b{batch}": self._description(mode, batch, keep)
            for mode, batch in (("train", self.batch), ("forward", 1))
            for level, keep in levels.items()
        }

    def _description(self, mode: str, batch: int, keep: tuple[float, float, float]) -> dict[str, Any]:
        _, tokens, attention = keep
        ratios = {"tokens": tokens, "attention": attention, "select_before": list(self.select_before)}
        return {"mode": mode, "batch": batch, "keep": ratios, "model": asdict(self.model)}


def default_products() -> list[Product]:
    """DeiT-T for ImageNet, and the demonstration's model."""
    recipe = RECIPES["fashion_mnist"]
    demo = parse_model(recipe.model, classes=len(SOURCES[recipe.dataset].classes), channels=1)
    name = f"demo_{recipe.dataset}"
    return [
        Product("deit_tiny_patch16_224", parse_model("deit_tiny_patch16_224")),
        Product(name, replace(demo, name=name), recipe.select_before, recipe.batch_size, demo=True),
    ]


def product_of(text: str, batch: int = 16) -> Product:
    """The product that a user names: a preset, or a shape such as `vit:image=32,...,classes=10`."""
    model = parse_model(text)
    places = tuple(place for place in SELECT_BEFORE if place <= model.depth) or (model.depth,)
    return Product("".join(c if c.isalnum() else "_" for c in text), model, places, batch)


def write_programs(config: HardwareConfig, product: Product, folder: Path) -> None:
    """Compile the product's programs: the bytes for memory, and JSON that says where everything lies."""
    target = folder / PROGRAMS / product.name
    target.mkdir(parents=True)
    for name, description in product.descriptions().items():
        layout, program = program_of(config, description)
        (target / f"{name}.bin").write_bytes(program.data)
        places = {"instructions": len(program.instructions), **_places(config, layout)}
        (target / f"{name}.json").write_text(json.dumps(description | places, indent=1) + "\n")


def _places(config: HardwareConfig, layout: Layout) -> dict[str, Any]:
    """Word addresses in the window, which are the same for every program of the layout."""
    tensors = {name: layout.tensors[name] for name in INPUTS_AND_RESULTS if name in layout.addresses}
    return {
        "config_hash": f"{config.hash:016x}",
        "window_words": layout.memory.words,
        "program_address": layout.programs.address,
        "tensors": {
            name: {"address": layout.addresses[name], "rows": t.rows, "columns": t.columns, "element": t.element}
            for name, t in tensors.items()
        },
    }


def write_weights(product: Product, given: Path | None, folder: Path) -> None:
    """Write the weights in `given`, else the fresh ones of the seed, as safetensors by timm's names."""
    fresh = short_run_weights if product.demo else initial_parameters
    weights = fresh(product.model, SEED) if given is None else load_float_weights(given)
    target = folder / WEIGHTS / f"{product.name}.safetensors"
    target.parent.mkdir(exist_ok=True)
    save_safetensors(target, {name: weights[name].astype("float32") for name in sorted(weights)})


def parse_weights(texts: Iterable[str], products: Iterable[Product]) -> dict[str, Path]:
    """Files by product from `NAME=FILE`; `PeelVitError` for a product or a file that is not there."""
    names, given = {product.name for product in products}, {}
    for text in texts:
        name, _, path = text.partition("=")
        if name not in names or not Path(path).is_file():
            raise PeelVitError(f"--weights {text} must be NAME=FILE with a file and one of {', '.join(sorted(names))}")
        given[name] = Path(path)
    return given
