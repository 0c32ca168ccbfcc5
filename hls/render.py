"""Configuration -> ``build/<config>/``: the kernels of one accelerator, rendered from Jinja templates.

    python -m hls.render toy zcu102
    python -m hls.render --check        # committed renderings (toy snapshot, reference pages) equal fresh ones
    python -m hls.render --snapshot     # write them again

Python computes, a template only places text; an undefined name fails (StrictUndefined).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import jinja2

from hls.spec import attention, checks, formats, instruction, ops, pieces, registers, slots, tables
from hls.spec.config import SHIPPED, ConfigError, HardwareConfig, load
from hls.spec.status import SENTENCES, Status
from hls.spec.system import MEMORY_PORTS

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
SNAPSHOT = HERE.parent / "tests" / "hls" / "snapshot" / "toy"
REFERENCE = HERE.parent / "docs" / "reference"


def camel(name: str) -> str:
    """`max_rows` -> `kMaxRows`: the constant of a limit, op or header field."""
    return "k" + "".join(part.capitalize() for part in name.split("_"))


def environment(folder: str = "templates") -> jinja2.Environment:
    """The one kind of Jinja environment of the project."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C++, not HTML
    )
    env.filters.update(camel=camel)
    return env


def sources(config: HardwareConfig) -> dict[str, str]:
    """Rendered files by their path below the build folder, hand-written headers included."""
    env = environment()
    env.globals["limits"] = config.limits  # what imported macros see as well
    context = {
        "attention": attention,
        "config": config,
        "checks": checks,
        "column_parts": pieces.PARTS,
        "check_rules": checks.rules(config.operations),
        "check_tables": checks.tables(config),
        "formats": formats,
        "instruction": instruction,
        "memory_ports": MEMORY_PORTS,
        "ops": config.operations,
        "op": ops.BY_NAME,
        "registers": registers.REGISTERS,
        "set_lanes": tables.set_lanes(),
        "slots": slots,
        "statuses": list(Status),
        "tables": tables.in_hardware(),
        "table_bits": {name: value for name, value in vars(tables).items() if name.endswith("_BITS")},
    }
    skipped = {"macros.j2"} | {f"ops/{name}.hpp.j2" for name in config.without}
    names = [name for name in env.list_templates(extensions=["j2"]) if name not in skipped]
    rendered = {name.removesuffix(".j2"): env.get_template(name).render(context) for name in names}
    included = {path.name: path.read_text() for path in (HERE / "include").glob("*.hpp")}
    return dict(sorted((rendered | included).items()))


def reference() -> dict[str, str]:
    """Pages of docs/reference by name."""
    env = environment("reference")
    configs = [load(name) for name in SHIPPED]
    context = {
        "configs": configs,
        "instruction": instruction,
        "ops": ops.OPS,
        "registers": registers.REGISTERS,
        "sentences": SENTENCES,
        "sizes": [field.name for field in dataclasses.fields(HardwareConfig) if field.name != "name"],
        "statuses": list(Status),
    }
    return {name.removesuffix(".j2"): env.get_template(name).render(context) for name in env.list_templates()}


def committed() -> dict[Path, dict[str, str]]:
    """What is rendered and committed: files by name, by folder."""
    return {SNAPSHOT: sources(load("toy")), REFERENCE: reference()}


def write(folder: Path, files: dict[str, str]) -> None:
    """Make `folder` hold exactly `files`; unchanged files keep their time stamps, so builds stay incremental."""
    stale = {p for p in folder.rglob("*") if p.is_file() and p.suffix in (".hpp", ".cpp", ".md")} - {
        folder / n for n in files
    }
    for path in stale:
        path.unlink()
    for name, text in files.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def drift(folder: Path, files: dict[str, str]) -> list[str]:
    """Names of files that differ between `folder` and `files`."""
    present = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    return sorted(name for name in present.keys() | files.keys() if present.get(name) != files.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m hls.render", description="Render the kernels of a configuration.")
    parser.add_argument("configs", nargs="*", default=["zcu102"], help="shipped configurations or JSON files")
    parser.add_argument("--check", action="store_true", help="compare the committed snapshot with a fresh rendering")
    parser.add_argument("--snapshot", action="store_true", help="write the committed snapshot again")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            different = [folder / name for folder, files in committed().items() for name in drift(folder, files)]
            for path in different:
                print(f"{path} differs from a fresh rendering; run `python -m hls.render --snapshot`", file=sys.stderr)
            return 1 if different else 0
        if options.snapshot:
            for folder, files in committed().items():
                write(folder, files)
            return 0
        for name in options.configs:
            config = load(name)
            write(BUILD / config.name, sources(config))
            print(f"build/{config.name}/")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
