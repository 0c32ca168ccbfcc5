"""The benchmark: what it times, and that it runs."""

from __future__ import annotations

from hls.spec.config import load
from host.compiler import compile_program
from host.layout import plan_layout
from host.model import dense_plan, parse_model
from host.tensors import Use
from sim.bench import bench, calibrated_state, products, table, time_steps
from sim.csim import build
from sim.golden.device import GoldenDevice
from sim.macs import macs

MODEL = parse_model("vit:image=12,patch=4,channels=1,dim=16,depth=2,heads=2,mlp=24,classes=5")


def test_products_are_the_multiply_accumulates_of_the_program() -> None:
    layout = plan_layout(load("toy"), MODEL, Use(batch=1))
    for instruction in compile_program(layout, dense_plan(MODEL)).instructions:
        assert sum(c * m * k * n for c, m, k, n in products(instruction)) == macs(instruction)


def test_steps_are_timed() -> None:
    golden = GoldenDevice(load("toy"))
    timing = time_steps(golden, MODEL, calibrated_state(golden, MODEL), repeats=1)
    assert timing.step > 0
    assert timing.step_with_update > 0
    assert timing.host > 0


def test_table_shows_every_figure() -> None:
    config = load("toy")
    build(config, "fast")
    figures = bench(config, MODEL, repeats=1)
    text = table(figures)
    for word in ("C simulation", "golden", "BLAS", "host work", "update"):
        assert word in text
    assert figures["csim_over_blas"] == figures["csim_seconds"] / figures["blas_seconds"]
