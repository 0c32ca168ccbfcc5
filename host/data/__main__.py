"""`python -m host.data`: fetch the built-in data sets, and show what data is there."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from host.data import cache
from host.data.dataset import Dataset
from host.data.registry import SOURCES, SPLITS, default_data_dir, load_dataset, obtain
from host.data.source import tell
from host.errors import PeelVitError, run_main


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m host.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="bring built-in data sets into the data folder")
    fetch.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(SOURCES)}")
    info = commands.add_parser("info", help="show what is there: counts, shapes and labels")
    info.add_argument("names", nargs="*", metavar="NAME", help="built-in names or image folders; default: built-ins")
    for command in (fetch, info):
        command.add_argument("--data-dir", type=Path, default=default_data_dir(), help="default: %(default)s")
    return parser


def _fetch(names: list[str], data_dir: Path) -> None:
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise PeelVitError(f"cannot fetch {', '.join(unknown)}; the data sets are {', '.join(SOURCES)}")
    for name in names:
        obtain(SOURCES[name], data_dir)
        _show(name, data_dir)


def _show(name: str, data_dir: Path) -> None:
    source = SOURCES.get(name)
    if source and not all(cache.is_cached(data_dir, name, split) for split in SPLITS):
        print(f"{name}: not in {data_dir}; get it with `python -m host.data fetch {name} --data-dir {data_dir}`")
        return
    for split in SPLITS:
        print(_described(load_dataset(name, split, data_dir=data_dir, fetch=False, report=tell), split))


def _described(dataset: Dataset, split: str) -> str:
    """One line: counts, shape and how evenly the labels are spread."""
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    height, width, channels = dataset.image_shape
    return (
        f"{dataset.name} {split}: {len(dataset)} images of {height}x{width}x{channels}, "
        f"{len(dataset.classes)} classes with {counts.min()} to {counts.max()} images each"
    )


def main() -> None:
    """Run the command line; raises `PeelVitError` for what the user can put right."""
    arguments = _parser().parse_args()
    if arguments.command == "fetch":
        _fetch(arguments.names, arguments.data_dir)
        return
    for name in arguments.names or SOURCES:
        _show(name, arguments.data_dir)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
