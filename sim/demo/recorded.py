"""`train_edge.py` that also records its sequence: the same options, and sequence.npz beside the run's other files.

python -m sim.demo.recorded --dataset fashion_mnist --level 0.7 --output runs/recorded
"""

from __future__ import annotations

import signal

from host.errors import PeelVitError, run_main
from host.options import Options, parse
from host.training import train
from sim.demo.sequence import Recorder, save_sequence


def main() -> None:
    """Run what the command line says."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(**parse())
    if options.mode != "train" or options.resume is not None:
        raise PeelVitError("a recorded run is a training from its beginning; leave --mode and --resume out")
    recorder = Recorder()
    train(options, on_step=recorder)
    save_sequence(options.output, recorder.sequence())


if __name__ == "__main__":
    run_main(main)
