"""Check a configuration file of `v++ --mode hls` by turning it into the Tcl commands that UG1399 maps its keys to."""

from __future__ import annotations

from pathlib import Path

from host.errors import PeelVitError

SINGLE = {
    "part", "flow_target", "clock", "clock_uncertainty", "syn.top", "syn.cflags", "tb.cflags", "csim.O", "csim.clean",
    "csim.argv", "csim.ldflags", "csim.setup", "cosim.O", "cosim.argv", "cosim.rtl", "cosim.trace_level",
    "cosim.random_stall", "package.output.format", "package.output.syn", "package.output.file", "package.ip.vendor",
    "package.ip.library", "package.ip.name", "package.ip.version", "package.ip.display_name", "package.ip.description",
    "package.ip.taxonomy",
}  # fmt: skip
REPEATED = {"syn.file", "tb.file"}
EXPORT = {key: key for key in ("vendor", "library", "version", "display_name", "description")} | {"name": "ipname"}


class ConfigFileError(PeelVitError):
    """A configuration file that the tool would refuse."""


def read(text: str) -> dict[str, list[str]]:
    """Keys and values; `ConfigFileError` for a key that is unknown, repeated or in the wrong section."""
    found: dict[str, list[str]] = {}
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line
            if section != "[hls]":
                raise ConfigFileError(f"line {number}: there is no section {section}; options stand below [hls]")
            continue
        key, equals, value = line.partition("=")
        if not equals or not value:
            raise ConfigFileError(f"line {number}: {line} is not of the form key=value")
        if key not in SINGLE | REPEATED and not key.startswith("syn.interface."):
            raise ConfigFileError(f"line {number}: there is no option {key}")
        if (key == "part") == bool(section):
            raise ConfigFileError(f"line {number}: {key} stands {'above' if key == 'part' else 'below'} [hls]")
        if key in found and key not in REPEATED:
            raise ConfigFileError(f"line {number}: {key} is given twice; the tool takes the first")
        found.setdefault(key, []).append(value)
    return found


def as_tcl(text: str, folder: Path) -> str:
    """The Tcl script of a configuration file: project, simulation, synthesis, co-simulation and export.

    Test-bench files are copied beside the simulation by the tool, so arguments name the folder `.`.
    """
    found = read(text)

    def one(key: str) -> str:
        if key not in found:
            raise ConfigFileError(f"the option {key} is missing")
        return found[key][0]

    lines = ["open_project -reset hls", f"set_top {one('syn.top')}"]
    lines += [f"add_files {{{path}}} -cflags {{{one('syn.cflags')}}}" for path in found.get("syn.file", [])]
    lines += [f"add_files -tb {{{path}}} -cflags {{{one('tb.cflags')}}}" for path in found.get("tb.file", [])]
    period = one("clock").removesuffix("ns")
    lines += [
        f"open_solution -reset -flow_target {one('flow_target')} hls",
        f"set_part {one('part')}",
        f"create_clock -period {period}",
    ]
    interface = {key: values[0] for key, values in found.items() if key.startswith("syn.interface.")}
    lines += [f"config_interface -{key.removeprefix('syn.interface.')}={value}" for key, value in interface.items()]
    folders = {str(Path(path).parent) for path in found.get("tb.file", [])}
    if len(folders) != 1 or not all((folder / path).is_file() for path in found["tb.file"]):
        raise ConfigFileError("the files of the test bench must exist, in one folder")
    copied = folders.pop()
    lines.append(f"csim_design -O -argv {{{_in_folder(one('csim.argv'), copied)}}}")
    lines.append("csynth_design")
    lines.append(f"cosim_design -O -argv {{{_in_folder(one('cosim.argv'), copied)}}}")
    names = " ".join(f"-{option} {{{one(f'package.ip.{key}')}}}" for key, option in EXPORT.items())
    lines += [f"export_design -format {one('package.output.format')} {names}", "exit 0"]
    return "\n".join(lines) + "\n"


def _in_folder(arguments: str, copied: str) -> str:
    place, _, rest = arguments.partition(" ")
    if place != ".":
        raise ConfigFileError(f"the test bench's folder must be . and not {place}: the tool copies the files there")
    return f"{copied} {rest}"
