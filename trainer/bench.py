"""What sparsity saves in a training step on this machine: time beside multiply-accumulates, all ratios from one run.

python -m trainer.bench                                 # DeiT-S, 224 pixels, batch 8
python -m trainer.bench --model deit_tiny_patch16_224 --device cuda --batch-size 128 --amp

A step is forward, loss and backward; the ratio is to the same model, dense, with fused attention and no selector.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from host.errors import PeelVitError, run_main
from host.options import LEVELS
from host.schedules import kept_count
from trainer.allocator import keep_freed_memory
from trainer.attention.connections import LazyProbabilities
from trainer.attention.dense import ALL_KEYS
from trainer.attention.selected import SelectedKeys
from trainer.cost.architectures import describe
from trainer.cost.model import StepCost
from trainer.cost.table import aligned
from trainer.keep import DENSE, Choice, Keep
from trainer.models.base import ImageClassifier
from trainer.models.registry import create_model
from trainer.record import SILENT
from trainer.selection import gather_tokens, select_keys, select_tokens
from trainer.timing import interleaved, quartiles, ratios

ISSUE_SETTINGS = {"tokens .9, attention .9": Keep(0.9, 0.9), "tokens .7, attention .3": Keep(0.7, 0.3)}
LEVEL_SETTINGS = {f"trilevel_{name}": Keep(*triple[1:]) for name, triple in LEVELS.items() if name != "dense"}
SETTINGS = {"keep 1.0": DENSE} | ISSUE_SETTINGS | LEVEL_SETTINGS
"""What is timed: the keep ratios of one step; examples that are not shown cost nothing and are no part of it."""

ATTENTION_RATIOS = (0.8, 0.5, 0.3, 0.2)


@dataclass(frozen=True)
class Bench:
    """What is measured where."""

    model: str
    batch_size: int
    rounds: int
    device: torch.device
    amp: bool = False

    def images(self, size: int) -> Tensor:
        """Normally distributed pixels."""
        return torch.randn(self.batch_size, 3, size, size, generator=torch.Generator().manual_seed(0)).to(self.device)

    def make(self, token_method: str) -> ImageClassifier:
        """The model in training mode."""
        return create_model(self.model, token_method=token_method).to(self.device).train()


def train_step(model: ImageClassifier, images: Tensor, labels: Tensor, keep: Keep, amp: bool) -> None:
    """Forward, loss and backward."""
    model.zero_grad(set_to_none=True)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
        loss = functional.cross_entropy(model(images, keep).logits, labels)
    loss.backward()


def measure_steps(bench: Bench) -> dict[str, Any]:
    """Times and MACs of a step at every setting, over those of the dense one; timm's model too where timm is there."""
    dense, sparse = bench.make("dense"), bench.make("trilevel")
    images = bench.images(dense.config.image_size)
    labels = torch.arange(bench.batch_size, device=bench.device) % dense.config.classes
    works: dict[str, Callable[[], object]] = {"dense": partial(train_step, dense, images, labels, DENSE, bench.amp)}
    works |= {n: partial(train_step, sparse, images, labels, keep, bench.amp) for n, keep in SETTINGS.items()}
    if (timm_model := _timm_model(bench)) is not None:
        works["timm, dense"] = partial(_plain_step, timm_model, images, labels, bench.amp)
    works["square product"] = _square_product(bench)
    works["own products"] = partial(_multiply, _own_products(bench, dense))
    seconds = interleaved(works, bench.rounds, bench.device, bench.model)
    cost = StepCost(describe(bench.model))
    rows = {name: _row(name, quartiles(seconds[name], seconds["dense"]), cost) for name in SETTINGS}
    dense_rate = bench.batch_size * cost(DENSE) / min(seconds["dense"])
    product_rate = _SQUARE**3 / min(seconds["square product"])
    own_macs = sum(m * k * n for m, k, n in _own_shapes(bench, dense))
    return {
        "dense_seconds": median(seconds["dense"]),
        "dense_gmac_per_second": dense_rate / 1e9,
        "product_gmac_per_second": product_rate / 1e9,
        "dense_over_product_rate": dense_rate / product_rate,
        "own_products_gmac_per_second": own_macs / min(seconds["own products"]) / 1e9,
        "dense_over_timm": median(
            own / other for own, other in zip(seconds["dense"], seconds["timm, dense"], strict=True)
        )
        if timm_model is not None
        else None,
        "settings": rows,
    }


_SQUARE = 2048


def _square_product(bench: Bench) -> Callable[[], object]:
    """A product whose rate is what this machine can do."""
    dtype = torch.bfloat16 if bench.amp else torch.float32
    left, right = torch.randn(2, _SQUARE, _SQUARE, device=bench.device, dtype=dtype)
    return partial(torch.mm, left, right)


def _own_shapes(bench: Bench, model: ImageClassifier) -> list[tuple[int, int, int]]:
    """(m, k, n) of every linear layer's three products in a dense step: forward, dX and dW."""
    rows = bench.batch_size * (1 + (model.config.image_size // model.config.patch_size) ** 2)
    shapes = []
    for layer in model.blocks.modules():  # type: ignore[union-attr]
        if isinstance(layer, nn.Linear):
            inputs, outputs = layer.in_features, layer.out_features
            shapes += [(rows, inputs, outputs), (rows, outputs, inputs), (outputs, rows, inputs)]
    return shapes


def _own_products(bench: Bench, model: ImageClassifier) -> list[tuple[Tensor, Tensor]]:
    """The factors of these products; layers of one shape share them."""
    dtype = torch.bfloat16 if bench.amp else torch.float32
    made = {
        (m, k, n): (
            torch.randn(m, k, device=bench.device, dtype=dtype),
            torch.randn(k, n, device=bench.device, dtype=dtype),
        )
        for m, k, n in set(_own_shapes(bench, model))
    }
    return [made[shape] for shape in _own_shapes(bench, model)]


def _multiply(factors: list[tuple[Tensor, Tensor]]) -> None:
    for left, right in factors:
        torch.mm(left, right)


def _row(name: str, time: tuple[float, float, float], cost: StepCost) -> dict[str, Any]:
    macs = cost(SETTINGS[name]) / cost(DENSE)
    low, ratio, high = time
    return {
        "tokens": SETTINGS[name].tokens,
        "attention": SETTINGS[name].attention,
        "time_ratio": ratio,
        "time_ratio_quartiles": [low, high],
        "macs_ratio": macs,
        "time_saved_over_macs_saved": (1 - ratio) / (1 - macs) if macs < 1 else None,
    }


def _timm_model(bench: Bench) -> nn.Module | None:
    try:
        timm = importlib.import_module("timm")
    except (ImportError, RuntimeError):  # the latter from a torchvision of another build
        return None
    return timm.create_model(bench.model).to(bench.device).train()


def _plain_step(model: nn.Module, images: Tensor, labels: Tensor, amp: bool) -> None:
    model.zero_grad(set_to_none=True)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
        loss = functional.cross_entropy(model(images), labels)
    loss.backward()


def measure_selectors(bench: Bench, keep: Keep, step_seconds: float) -> float:
    """Seconds of all selectors of a forward pass (scores, top-k, gathering) over those of a dense step."""
    model = bench.make("trilevel")
    config = model.config
    patches = (config.image_size // config.patch_size) ** 2
    works: dict[str, Callable[[], object]] = {}
    for number, _ in enumerate(model.selector_places):
        choice = keep.choice(number, patches)
        assert choice is not None
        shape = (bench.batch_size, config.heads, 1 + patches, config.dim // config.heads)
        q, k = torch.randn(2, *shape, device=bench.device)
        x = q.new_zeros(bench.batch_size, 1 + patches, config.dim)
        works[str(number)] = partial(_select, LazyProbabilities(q, k), x, choice)
        patches = choice.token_count
    seconds = interleaved(works, bench.rounds, bench.device, "selectors")
    return sum(median(times) for times in seconds.values()) / step_seconds


def _select(probabilities: LazyProbabilities, x: Tensor, choice: Choice) -> None:
    kept = select_tokens(probabilities.class_row()[:, 1:], choice.token_count)
    gather_tokens(x, kept)
    if choice.key_count is not None:
        keys = select_keys(probabilities.rows(kept + 1)[:, :, 1:], kept, choice.key_count)
        SelectedKeys(keys).allowed  # noqa: B018 (made when first asked for)


def measure_ways(bench: Bench) -> list[dict[str, Any]]:
    """Forward and backward of sparse attention by every way, over dense fused attention, at the model's shapes."""
    config = bench.make("dense").config
    patches = (config.image_size // config.patch_size) ** 2
    ways = ["masked", "gather"] + (["flex"] if bench.device.type == "cuda" else [])
    rows = []
    for count in (patches, kept_count(patches, 0.7)):
        shape = (bench.batch_size, config.heads, 1 + count, config.dim // config.heads)
        q, k, v = (torch.randn(shape, device=bench.device, requires_grad=True) for _ in range(3))
        for ratio in ATTENTION_RATIOS:
            keys = select_keys(torch.rand(bench.batch_size, count, count, device=bench.device),
                               torch.arange(count, device=bench.device).expand(bench.batch_size, -1),
                               max(1, round(count * ratio)))  # fmt: skip
            works: dict[str, Callable[[], object]] = {"dense": partial(_attend, ALL_KEYS, q, k, v)}
            works |= {way: partial(_attend, SelectedKeys(keys, way=way), q, k, v) for way in ways}
            measured = ratios(interleaved(works, bench.rounds, bench.device, f"{count} patches"), "dense")
            rows.append({"patches": count, "attention": ratio} | {way: measured[way] for way in ways})
    return rows


def _attend(connections: Any, q: Tensor, k: Tensor, v: Tensor) -> None:
    context, _ = connections.attend(q, k, v, SILENT)
    torch.autograd.grad(context.sum(), (q, k, v))


def as_text(figures: dict[str, Any]) -> str:
    """The figures for people."""
    f, steps = figures, figures["steps"]
    lines = [["keep", "tokens", "attention", "time / dense", "quartiles", "MACs / dense", "saved: time / MACs"]]
    for name, row in steps["settings"].items():
        share = row["time_saved_over_macs_saved"]
        lines.append(
            [
                name,
                f"{row['tokens']:g}",
                f"{row['attention']:g}",
                f"{row['time_ratio']:.3f}",
                "{:.2f}-{:.2f}".format(*row["time_ratio_quartiles"]),
                f"{row['macs_ratio']:.3f}",
            ]
            + ["-" if share is None else f"{share:.2f}"]
        )
    ways = [name for name in f["ways"][0] if name not in ("patches", "attention")]
    attention = [["patches", "attention", *ways]]
    attention += [[str(row["patches"]), f"{row['attention']:g}", *(f"{row[w]:.2f}" for w in ways)] for row in f["ways"]]
    timm = steps["dense_over_timm"]
    return "\n".join(
        [
            f"{f['model']}, batch {f['batch_size']}, {f['device']}, {f['threads']} threads: forward and backward, "
            f"measured; medians of {f['rounds']} interleaved rounds",
            aligned(lines),
            f"dense: {steps['dense_gmac_per_second']:.1f} GMAC/s, {100 * steps['dense_over_product_rate']:.0f} % of "
            f"this machine's {steps['product_gmac_per_second']:.1f} in one square product, "
            f"{100 * steps['dense_gmac_per_second'] / steps['own_products_gmac_per_second']:.0f} % of the "
            f"{steps['own_products_gmac_per_second']:.1f} of its own linear layers' products alone",
            "dense over timm's model: " + ("timm cannot be imported here" if timm is None else f"{timm:.3f}"),
            f"all selectors of a step at 0.7: {100 * f['selector_share']:.2f} % of a dense step",
            "sparse attention alone, time over dense fused attention, by the way it is computed:",
            aligned(attention),
        ]
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bench", description="Time that sparsity saves.")
    parser.add_argument("--model", default="deit_small_patch16_224")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of which medians are taken")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--default-allocator", action="store_true", help="leave the C library's allocator as it is")
    parser.add_argument("--json", type=Path, default=Path("reports/trainer-bench.json"), help="where figures go")
    options = parser.parse_args()
    if min(options.rounds, options.batch_size) < 1:
        raise PeelVitError("give at least one round and one image")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise PeelVitError("there is no CUDA device here; choose --device cpu")
    if not options.default_allocator:
        keep_freed_memory()
    bench = Bench(options.model, options.batch_size, options.rounds, torch.device(options.device), options.amp)
    steps = measure_steps(bench)
    figures = {
        "model": bench.model,
        "batch_size": bench.batch_size,
        "device": options.device,
        "amp": bench.amp,
        "threads": torch.get_num_threads(),
        "rounds": bench.rounds,
        "default_allocator": options.default_allocator,
        "steps": steps,
        "selector_share": measure_selectors(bench, LEVEL_SETTINGS["trilevel_0.7"], steps["dense_seconds"]),
        "ways": measure_ways(bench),
    }
    print(as_text(figures))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"written to {options.json}")


if __name__ == "__main__":
    run_main(main)
