"""``python -m sim.board --config toy --port 7967``: a virtual ZCU102 for pynq's remote device.

Then ``python3 host/train_edge.py --backend pynq --board 127.0.0.1:7967 --config toy ...`` trains on it, and
``python -m pynq.remote.selftest --ip 127.0.0.1 --port 7967`` tests it.
"""

from __future__ import annotations

import argparse
import signal
from contextlib import closing
from pathlib import Path

from host.backends import load_config
from host.errors import PeelVitError, run_main
from sim.board.bitstream import write_bitstream
from sim.board.board import Board, BoardOptions
from sim.board.faults import KINDS, parse_fault
from sim.board.kernel import kernel_names, open_kernel
from sim.board.memory import DEFAULT_BASE, DEFAULT_SIZE

PYNQ_PORT = 7967
_MIB = 1 << 20


def main() -> None:
    """Command line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a board in the background ends like one in front
    options = _parser().parse_args()
    config = load_config(options.config)
    bitfile = write_bitstream(config, options.bitfile)
    print(f"bitstream and hardware handoff of {config.name}: {bitfile}, {bitfile.with_suffix('.hwh').name}")
    if options.bitstream_only:
        return
    open_kernel(options.kernel, config)  # compiled now, not while a host waits
    board = Board(
        BoardOptions(
            options.kernel,
            cma_bytes=options.cma_mib * _MIB,
            cma_base=options.cma_base,
            real_time=options.real_time,
            seed=options.seed,
            faults=tuple(map(parse_fault, options.fault)),
        )
    )
    try:
        from sim.board.server import BoardServer
    except ModuleNotFoundError as error:
        raise PeelVitError(f"the virtual board needs the Python package {error.name}; install pynq 4.0.0") from None
    with closing(BoardServer(board, options.port, options.host)) as server:
        print(f"virtual ZCU102 with the {options.kernel} kernel at {server.address}; Ctrl-C ends it", flush=True)
        server.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.board", description="Serve a virtual ZCU102 to pynq.")
    parser.add_argument("--config", default="zcu102", help="hardware configuration of the bitstream; default zcu102")
    parser.add_argument("--bitfile", type=Path, help="where to write it; default build/CONFIG/board/peelvit.bit")
    parser.add_argument("--bitstream-only", action="store_true", help="write the bitstream and end")
    parser.add_argument("--port", type=int, default=PYNQ_PORT, help=f"0 for any; default {PYNQ_PORT}, as pynq has it")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--kernel", default="csim", choices=kernel_names(), help="what computes; default csim")
    parser.add_argument("--cma-mib", type=int, default=DEFAULT_SIZE // _MIB, help="contiguous memory, in MiB")
    parser.add_argument("--cma-base", type=lambda text: int(text, 0), default=DEFAULT_BASE, help="its address")
    parser.add_argument("--real-time", action="store_true", help="let runs take as long as their modelled cycles")
    parser.add_argument("--seed", type=int, default=0, help="of what is random: which bit flips")
    kinds = ", ".join(sorted(KINDS))
    parser.add_argument(
        "--fault", action="append", default=[], metavar="KIND[@RUN]", help=f"something to go wrong: {kinds}"
    )
    return parser


if __name__ == "__main__":
    run_main(main)
