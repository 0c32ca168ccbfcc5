"""Configuration -> ``build/<config>/rtl/``: the shell's SystemVerilog.

python -m sim.rtl.shell.render toy zcu102
python -m sim.rtl.shell.render --snapshot   # write the committed rendering again
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hls.render import BUILD, environment
from hls.spec import registers
from hls.spec.config import ConfigError, HardwareConfig, load
from host.errors import PeelVitError, run_main
from sim.rtl.shell.watched import BINS, PORTS, RULES

HERE = Path(__file__).resolve().parent
SNAPSHOT = HERE.parents[2] / "tests" / "sim" / "rtl" / "shell" / "snapshot"
TEMPLATES = ("control.sv.j2", "peelvit_top.sv.j2", "axi_checker.sv.j2", "bench.sv.j2")
SHELL = ("axi_master.sv", "control.sv", "peelvit_top.sv")
"""Files of the accelerator; an exported one takes their place."""
AROUND = ("axi_checker.sv", "bench.sv")


def sources(config: HardwareConfig) -> dict[str, str]:
    """SystemVerilog files by name."""
    env = environment(str(HERE))
    context = {
        "config": config,
        "registers": registers.REGISTERS,
        "address_bits": (registers.SPAN - 1).bit_length(),
        "masters": PORTS,
        "rules": RULES,
        "bins": BINS,
    }
    rendered = {name.removesuffix(".j2"): env.get_template(name).render(context) for name in TEMPLATES}
    return rendered | {"axi_master.sv": (HERE / "axi_master.sv").read_text()}


def write(folder: Path, files: dict[str, str]) -> None:
    """Put `files` into `folder`; unchanged ones keep their time stamps."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.rtl.shell.render", description="Render the RTL shell.")
    parser.add_argument("configs", nargs="*", help="shipped configurations or JSON files")
    parser.add_argument("--snapshot", action="store_true", help="write the committed rendering of toy again")
    options = parser.parse_args()
    if options.snapshot:
        write(SNAPSHOT, sources(load("toy")))
    for name in options.configs:
        try:
            config = load(name)
        except ConfigError as error:
            raise PeelVitError(str(error)) from None
        write(BUILD / config.name / "rtl", sources(config))
        print(f"build/{config.name}/rtl/")


if __name__ == "__main__":
    run_main(main)
