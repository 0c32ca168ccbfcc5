"""``python3 -m host VERB``: what is not training. The verbs are `doctor` and `verify`."""

from __future__ import annotations

from pathlib import Path

from host.command_line import Parser
from host.deployment import ROOT, verify, verify_programs
from host.doctor.command import add_arguments, doctor
from host.errors import EXIT_OK, run_main


def main() -> int:
    """Command line."""
    parser = Parser(prog="python3 -m host", description="Looks after a board.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser("verify", help="compare a deployed folder with its checksums, and its programs with ours")
    check.add_argument("folder", nargs="?", type=Path, default=ROOT, help="default: the folder of this program")
    add_arguments(verbs.add_parser("doctor", help="check whether the board is fit to train, and say what cures it"))
    options = parser.parse_args()
    return doctor(options) if options.verb == "doctor" else _verify(options.folder)


def _verify(folder: Path) -> int:
    files = verify(folder)
    programs = verify_programs(folder)
    print(f"{folder}: {files} files match their checksums, {programs} programs compile to the same bytes here")
    return EXIT_OK


if __name__ == "__main__":
    run_main(main)
