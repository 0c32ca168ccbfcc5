"""Mode throughput_test: inference of one micro-batch, timed, with FINN's names for the figures.

A simulation does not tell the time of the hardware: its figures come from modelled cycles, and their names say so.
"""

from __future__ import annotations

import json
import time
from contextlib import closing

import numpy as np

from hls.spec.formats import WORD_BYTES
from host.errors import PeelVitError
from host.job import model_from_json, model_of
from host.options import Options
from host.ready import ready_learner
from host.resume import Saved

MODELLED = "modelled_"
REPETITIONS = 10
_PORTS = 3


def throughput_test(options: Options, saved: Saved | None) -> dict[str, float]:
    """The figures by name, also printed as a table and as JSON. The images are random: they do not change the time."""
    model = model_from_json(saved.entry("model"))[0] if saved is not None else model_of(options)
    random = np.random.RandomState(options.seed)
    shape = (options.batch_size, model.patches, model.patch_features)
    patches = random.randint(-4096, 4096, shape).astype(np.int16)
    labels = np.zeros(options.batch_size, np.int64)
    simulated = options.backend != "pynq"
    with closing(ready_learner(options, saved, model, patches)) as learner:
        learner.evaluate(patches, labels)  # compiles the program and fits its formats
        repetitions = 1 if simulated else REPETITIONS
        begin = time.perf_counter()
        cycles = sum(learner.evaluate(patches, labels).cycles for _ in range(repetitions)) / repetitions
        wall = (time.perf_counter() - begin) / repetitions
        words = learner.device.counters().instruction_words
        clock = learner.device.config.clock_mhz
    if simulated and not cycles:
        raise PeelVitError(f"the {options.backend} backend has no notion of time; choose --backend csim")
    figures = _figures(cycles / clock / 1e6 if simulated else wall, options.batch_size, words, clock)
    if simulated:
        figures = {MODELLED + name: value for name, value in figures.items()} | {"simulation_seconds": wall}
    figures["batch_size"] = options.batch_size
    width = max(map(len, figures))
    print("\n".join(f"{name:{width}}  {value:>12,.3f}" for name, value in figures.items()))
    print(json.dumps(figures, indent=2))
    return figures


def _figures(seconds: float, images: int, words: np.ndarray, clock_mhz: float) -> dict[str, float]:
    read, written = words[:, :_PORTS].sum(), words[:, _PORTS:].sum()
    return {
        "runtime[ms]": seconds * 1e3,
        "throughput[images/s]": images / seconds,
        "DRAM_in_bandwidth[MB/s]": float(read) * WORD_BYTES / seconds / 1e6,
        "DRAM_out_bandwidth[MB/s]": float(written) * WORD_BYTES / seconds / 1e6,
        "fclk[mhz]": float(clock_mhz),
    }
