"""The demonstration from beginning to end: data, C simulation, three runs on two cores, pictures and table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from host.backends import build_csim, load_config
from host.checkpoint import replaced_file
from host.job import Data, load_data
from host.options import Options, parse
from sim.demo import folder as names
from sim.demo.children import LOG_NAME, ROOT, Child, Children
from sim.demo.kept import kept_examples
from sim.demo.pictures import draw_kept_tokens, draw_learning_curves
from sim.demo.recipe import Recipe
from sim.demo.report import RUNS, Metrics, collect, read_curve, read_metrics, table
from sim.demo.sequence import load_sequence
from sim.demo.weights import write_weights

_STATUS_SECONDS = 15


def demonstrate(recipe: Recipe, out: Path) -> Metrics:
    """Train and compare as the recipe says; what metrics.json in `out` then holds.

    `PeelVitError` for what the user can put right; Ctrl-C stops everything that was started.
    """
    began = time.perf_counter()
    out = out.resolve()  # the children run in the repository's folder
    names.prepare_folder(out, recipe)
    initial = out / names.INITIAL_WEIGHTS
    options = Options(**parse(recipe.arguments(initial, out / "trilevel")))
    data = load_data(options)
    if recipe.backend == "csim":
        build_csim(load_config(recipe.config), options.variant)
    write_weights(initial, data.model, recipe.seed)
    print(_introduction(recipe, data), flush=True)
    _train(recipe, initial, out)
    metrics = _report(recipe, options, data, out, began)
    print(f"\n{table(metrics)}\n\n{_conclusion(recipe, metrics, out)}", flush=True)
    return metrics


def _introduction(recipe: Recipe, data: Data) -> str:
    examples, tokens, attention = recipe.keep
    counts = ", ".join(map(str, recipe_counts(recipe, data)))
    return (
        f"{recipe.model} on {recipe.train_images:,} images of {recipe.dataset}, {recipe.epochs} epochs, "
        f"on the simulated {recipe.config}:\n"
        f"  tri-level  keeps {examples:g} of the examples; {tokens:g} of the tokens and {attention:g} of the attention "
        f"connections before blocks {', '.join(map(str, recipe.select_before))}: "
        f"{data.model.patches} patches become {counts}\n"
        "  dense      keeps everything; it runs meanwhile, on the other core\n"
        "  fp32       is torch in floating point on the tri-level run's sequence of images and rates; it follows\n"
        "All three begin with the same weights."
    )


def recipe_counts(recipe: Recipe, data: Data) -> tuple[int, ...]:
    """Patches left after each selector in the end."""
    arguments = recipe.arguments(Path("-"), Path("-"))
    return Options(**parse(arguments)).sparsity.plan(data.model).token_counts


def _train(recipe: Recipe, initial: Path, out: Path) -> None:
    """The three runs on two cores: dense on one; tri-level, then float, on the other."""
    with Children() as children:
        (out / "dense").mkdir()
        dense = children.start(
            "dense",
            [ROOT / "host/train_edge.py", *recipe.dense().arguments(initial, out / "dense"), "--no-progress"],
            out / "dense" / LOG_NAME,
        )
        print("\ntri-level run:", flush=True)
        sparse = ["-m", "sim.demo.recorded", *recipe.arguments(initial, out / "trilevel")]
        children.wait(children.start("tri-level", sparse))
        print("\nfp32 run:", flush=True)
        children.wait(
            children.start("fp32", ["-m", "trainer.replay", out / "trilevel", "--output", out / "fp32"]),
        )
        children.wait(dense, _status(dense, out / "dense"))


def _status(child: Child, run: Path) -> Callable[[], None]:
    """Says now and then how far a run in the background is."""
    said = -float("inf")

    def say() -> None:
        nonlocal said
        if time.monotonic() - said >= _STATUS_SECONDS:
            said = time.monotonic()
            rows = (run / "steps.csv").read_text().splitlines() if (run / "steps.csv").exists() else []
            done = f"at step {rows[-1].split(',')[0]}" if len(rows) > 1 else "at its beginning"
            print(f"{child.name} run: {done}", flush=True)

    return say


def _report(recipe: Recipe, options: Options, data: Data, out: Path, began: float) -> Metrics:
    """Draw the pictures and write metrics.json."""
    runs = {name: read_metrics(out / name) for name in RUNS}
    examples, memory = kept_examples(options, data, out / "trilevel")
    curves = {name: read_curve(out / name, runs[name], recipe.batch_size) for name in RUNS}
    exchanged = load_sequence(out / "trilevel").newcomers()
    accuracy = {name: runs[name]["test_accuracy"] for name in RUNS}
    where = f"the simulated {recipe.config}"
    draw_learning_curves(out / names.LEARNING_CURVES, curves, accuracy, f"{recipe.dataset} on {where}")
    title = f"{recipe.dataset} test images, and the patches that the trained tri-level model keeps on {where}"
    draw_kept_tokens(out / names.KEPT_TOKENS, examples, data.model.patch_size, recipe.select_before, title)
    metrics = collect(recipe, runs, exchanged, memory, time.perf_counter() - began)
    with replaced_file(out / names.METRICS) as file:
        file.write((json.dumps(metrics, indent=2) + "\n").encode())
    return metrics


def _conclusion(recipe: Recipe, metrics: Metrics, out: Path) -> str:
    exchanged = ", ".join(map(str, metrics["examples_exchanged"]))
    examples, tokens, attention = recipe.keep
    return (
        f"keep ratios: examples {examples:g}, tokens {tokens:g}, attention {attention:g}; "
        f"examples exchanged after each epoch: {exchanged}\n"
        f"modelled times: cycles counted in the executed kernels' schedules; "
        f"device memory: {metrics['device_memory_bytes'] / 2**20:.1f} MiB\n"
        f"{metrics['seconds']:.0f} s in all; wrote {names.METRICS}, {names.LEARNING_CURVES} and {names.KEPT_TOKENS} "
        f"to {out}"
    )
