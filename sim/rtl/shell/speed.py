"""How fast the shell simulates: programs of the host, equal to the C simulation, in cycles and bytes a second.

python -m sim.rtl.shell.speed toy --model vit:image=15,patch=3,dim=20,depth=3,heads=2,mlp=28,classes=7
python -m sim.rtl.shell.speed zcu102 --model deit_tiny_patch16_224
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls.spec.config import HardwareConfig
from hls.spec.formats import WORD_BYTES
from host.device import RunResult
from host.devices.csim import CsimDevice
from host.errors import PeelVitError, run_main
from host.model import Sparsity, ViTConfig, parse_model
from host.runtime import Session, SessionOptions
from sim.csim import build
from sim.rtl.shell.device import BASE
from sim.rtl.shell.simulation import Shell
from sim.workload import load_hardware, random_batch, random_parameters

REPORT = Path(__file__).resolve().parents[3] / "reports" / "rtl_speed.json"
PRUNED = Sparsity(0.7, 0.6)


class _Recorder(CsimDevice):
    """Keeps the window around its last start."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    program: int

    def run(self, program: int) -> RunResult:
        """See `host.device.Device`."""
        self.before, self.program = self._window.copy(), program
        result = super().run(program)
        self.after = self._window.copy()
        return result


def programs(config: HardwareConfig, model: ViTConfig, sparsity: Sparsity) -> dict[str, _Recorder]:
    """An inference and a training step of one image, after a calibration; each with its windows."""
    build(config)
    found = {}
    for purpose in ("inference", "train"):
        device = _Recorder(config)
        session = Session(device, model, sparsity, SessionOptions(1))
        session.load_parameters(random_parameters(model, 1))
        batch = random_batch(model, 1, 1)
        session.calibrate(*batch)
        if purpose == "train":
            session.train_step(*batch, learning_rate=0.01, weight_decay=1e-3)
        else:
            session.logits(batch.patches)
        found[purpose] = device
    return found


def measured(shell: Shell, recorded: _Recorder) -> dict[str, Any]:
    """Run the program on the shell; figures, and `PeelVitError` where the windows differ."""
    window = recorded.before.copy()
    shell.set_memory(window, BASE)
    before, begin = shell.traffic(), time.perf_counter()
    shell.run(recorded.program, BASE)
    seconds = time.perf_counter() - begin
    shell.check()
    different = np.flatnonzero(window != recorded.after)
    if different.size:
        raise PeelVitError(
            f"the shell's window differs from the C simulation's, first at word {different[0] // WORD_BYTES}"
        )
    after, schedule = shell.traffic(), shell.schedule()
    cycles, moved = after.cycles - before.cycles, after.bytes - before.bytes
    return {
        "modelled_cycles": schedule.modelled,
        "measured_cycles": shell.read("cycles_low") | shell.read("cycles_high") << 32,
        "bytes": moved,
        "bursts": after.bursts - before.bursts,
        "lookaheads": schedule.lookaheads,
        "mispredicted": schedule.mispredicted,
        "held": schedule.held,
        "hazards": schedule.hazards,
        "seconds": round(seconds, 2),
        "cycles_per_second": round(cycles / seconds),
        "bytes_per_second": round(moved / seconds),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.rtl.shell.speed", description="Measure the RTL simulation.")
    parser.add_argument("config", nargs="?", default="zcu102")
    parser.add_argument("--model", default="deit_tiny_patch16_224")
    options = parser.parse_args()
    config, model = load_hardware(options.config), parse_model(options.model)
    sparsity = PRUNED if model.depth > 3 else Sparsity(0.7, 0.6, (2,))
    shell = Shell(config)
    key = f"{config.name} {options.model}"
    report = json.loads(REPORT.read_text()) if REPORT.is_file() else {}
    report[key] = {}
    for purpose, recorded in programs(config, model, sparsity).items():
        figures = report[key][purpose] = measured(shell, recorded)
        print(f"{key}, {purpose}: " + ", ".join(f"{name} {value:,}" for name, value in figures.items()), flush=True)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    run_main(main)
