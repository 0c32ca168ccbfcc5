"""The command line and YAML files of a program, with one sentence for whatever is wrong in them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import configargparse
import yaml

from host.command_line import mistake
from host.errors import PeelVitError

CONFIGS = Path(__file__).resolve().parent / "configs"
"""Configurations that come with the program: `--config deit_tiny_224` finds them by name."""

_NO_FILE = "{}"
_FORM = "write one 'option: value' a line"


class _Keys(configargparse.YAMLConfigFileParser):  # type: ignore[misc]
    """YAML whose keys may be written with underscores, as timm does, or with hyphens."""

    def parse(self, stream: IO[str]) -> dict[str, Any]:
        """Texts, or lists, by option; null stands for not given, and a file without any line for no options."""
        name = getattr(stream, "name", "the configuration")
        try:
            content = yaml.safe_load(stream)
        except yaml.YAMLError as error:
            raise PeelVitError(f"cannot read {name}: {' '.join(str(error).split())}; {_FORM}") from None
        if content is not None and not isinstance(content, dict):
            raise PeelVitError(f"{name} holds no options by name; {_FORM}")
        return {
            str(key).replace("_", "-"): value if isinstance(value, list) else str(value)
            for key, value in (content or {}).items()
            if value is not None
        }


class Parser(configargparse.ArgumentParser):  # type: ignore[misc]
    """A parser with `--config FILE|NAME` that says what is wrong in one sentence; it gives only what was given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            formatter_class=argparse.HelpFormatter,
            config_file_parser_class=_Keys,
            args_for_setting_config_path=["--config"],
            config_arg_help_message=f"YAML file of options, or one of {', '.join(shipped_configs())}",
            config_file_open_func=_open_config,
            add_config_file_help=False,
            add_env_var_help=False,
            **settings,
        )

    def error(self, message: str) -> NoReturn:
        """Raise the sentence."""
        unreadable = re.match(r"Unable to open config file: .* Error: (.*)", message)
        if unreadable is not None:
            raise PeelVitError(unreadable[1])
        raise mistake(message, self._option_string_actions)


def shipped_configs() -> list[str]:
    """Names of the configurations in `CONFIGS`."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def _open_config(name: str, mode: str = "r") -> IO[str]:
    path = Path(name)
    if not path.is_file():
        path = CONFIGS / f"{name}.yaml"
    try:
        return open(path, mode, encoding="utf-8")
    except OSError as error:
        raise PeelVitError(
            f"cannot read the configuration {name}: {error.strerror}; give a file or one of "
            f"{', '.join(shipped_configs())}"
        ) from None


def config_values(parser: Parser, arguments: Sequence[str] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the command line says, and what the file of `--config` says, each by field name."""
    command_line = _values(parser.parse_args(arguments, config_file_contents=_NO_FILE, env_vars={}))
    file = command_line.pop("config_file", None)
    if file is None:
        return command_line, {}
    return command_line, _values(parser.parse_args(["--config", file], env_vars={}), "config_file")


def _values(namespace: argparse.Namespace, *without: str) -> dict[str, Any]:
    """The values given, lists as tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(namespace).items()
        if name not in without
    }
