"""``python -m sim.csim build zcu102 [--variant fast]``."""

from __future__ import annotations

import argparse

from hls.spec.config import ConfigError, load
from host.errors import PeelVitError, run_main
from sim.csim.build import VARIANTS, build


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sim.csim", description="Build the C simulation of configurations.")
    parser.add_argument("verb", choices=["build"])
    parser.add_argument("configs", nargs="+", help="shipped configurations or JSON files")
    parser.add_argument("--variant", choices=VARIANTS, default="fast")
    options = parser.parse_args()
    for name in options.configs:
        try:
            print(build(load(name), options.variant))
        except ConfigError as error:
            raise PeelVitError(str(error)) from None


if __name__ == "__main__":
    run_main(main)
