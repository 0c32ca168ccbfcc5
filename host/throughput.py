"""Mode throughput_test: inference of one micro-batch, timed, with FINN's names for the figures.

A simulation does not tell the time of the hardware: its figures come from modelled cycles, and their names say so.
With --power the board runs long enough for its monitors to follow.
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
from host.power.start import meter_for
from host.ready import ready_learner
from host.resume import Saved

MODELLED = "modelled_"
REPETITIONS = 10
METERED_SECONDS = 2.0
"""Least length of a measurement of energy: some twenty samples."""


def throughput_test(options: Options, saved: Saved | None) -> dict[str, float]:
    """The figures by name, also printed as a table and as JSON. The images are random: they do not change the time."""
    model = model_from_json(saved.entry("model"))[0] if saved is not None else model_of(options)
    random = np.random.RandomState(options.seed)
    shape = (options.batch_size, model.patches, model.patch_features)
    patches = random.randint(-4096, 4096, shape).astype(np.int16)
    labels = np.zeros(options.batch_size, np.int64)
    simulated = options.backend != "pynq"
    with closing(ready_learner(options, saved, model, patches)) as learner, meter_for(options) as power:
        learner.evaluate(patches, labels)  # compiles the program and fits its formats
        power.take()
        cycles, repetitions = 0, 0
        least_repetitions = 1 if simulated else REPETITIONS
        least_seconds = METERED_SECONDS if options.power else 0.0
        begin = time.perf_counter()
        while repetitions < least_repetitions or time.perf_counter() - begin < least_seconds:
            cycles += learner.evaluate(patches, labels).cycles
            repetitions += 1
        wall = (time.perf_counter() - begin) / repetitions
        energy = power.take()
        words = learner.device.counters().instruction_words
        clock = learner.device.config.clock_mhz
    if simulated and not cycles:
        raise PeelVitError(f"the {options.backend} backend has no notion of time; choose --backend csim")
    seconds = cycles / repetitions / clock / 1e6 if simulated else wall
    figures = _figures(seconds, options.batch_size, words, clock)
    if simulated:
        figures = {MODELLED + name: value for name, value in figures.items()} | {"simulation_seconds": wall}
    if energy is not None:
        images = repetitions * options.batch_size
        figures |= {"power[W]": energy.watts, "energy_above_idle[J/image]": energy.joules_above_idle / images}
    figures["batch_size"] = options.batch_size
    width = max(map(len, figures))
    print("\n".join(f"{name:{width}}  {value:>12,.3f}" for name, value in figures.items()))
    print(json.dumps(figures, indent=2))
    return figures


def _figures(seconds: float, images: int, words: np.ndarray, clock_mhz: float) -> dict[str, float]:
    read, written = (stream.sum() for stream in np.split(words, 2, axis=1))
    return {
        "runtime[ms]": seconds * 1e3,
        "throughput[images/s]": images / seconds,
        "DRAM_in_bandwidth[MB/s]": float(read) * WORD_BYTES / seconds / 1e6,
        "DRAM_out_bandwidth[MB/s]": float(written) * WORD_BYTES / seconds / 1e6,
        "fclk[mhz]": float(clock_mhz),
    }
