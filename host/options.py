"""The options of `train_edge.py`: one table gives the command line, defaults, checks and what a resume compares.

Names are timm's where timm has the option and FINN's where FINN has it. An option that was given but means nothing for
the mode or the backend is refused, so that nothing is believed to have had an effect.
"""

# ruff: noqa: RUF009 (a dataclass field made by a function of our own is still a dataclass field)
from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from host.backends import backend_names
from host.command_line import Parser, places, span
from host.compiler.update import average_shift
from host.errors import PeelVitError
from host.memory import DEFAULT_LIMIT
from host.model import SELECT_BEFORE, Sparsity, parse_model
from host.schedules import check_ratio

MODES = ("train", "eval", "execute", "throughput_test", "selftest")
OPTIMIZERS = {"momentum": "sgd", "adamw": "adamw", "adamw-fabric": "adamw-fabric"}
"""Names on the command line (timm's where it has one), and those of `host.optimizers`."""

DEFAULT_RATES = {"momentum": 0.05, "adamw": 1e-3, "adamw-fabric": 1e-3}
VARIANTS = ("fast", "fidelity", "sanitized")

LEVELS = {"dense": (1.0, 1.0, 1.0), "0.9": (0.95, 0.9, 0.8), "0.8": (0.90, 0.8, 0.3), "0.7": (0.90, 0.7, 0.6)}
"""Keep ratios of (examples, tokens, attention) that fit the paper's training MACs; the paper does not publish them."""

PAPER_WARMUP = (10 / 300, 110 / 300)
"""Begin and end of the keep ratios' warm-up as parts of a run: the paper's epochs 10 to 110 of 300."""

PAPER_PERIOD = 30 / 300
"""Epochs between two exchanges of examples as a part of a run: the paper's 30 of 300."""

_PASSING = frozenset({"mode", "resume", "output", "no_progress"})
"""Options that say nothing of a run itself."""

_TRAIN = frozenset({"train"})
_SCORED = frozenset({"train", "eval"})
_EXECUTE = frozenset({"execute"})
_MODEL = frozenset(MODES) - {"selftest"}
_ALL = frozenset(MODES)
_BOARD = frozenset({"pynq"})


@dataclass(frozen=True)
class _Row:
    """What the command line and a resume need to know of one option."""

    flags: tuple[str, ...]
    help: str
    convert: Callable[[str], Any] | None
    choices: Collection[str] | None
    modes: frozenset[str]
    backends: frozenset[str] | None
    resumes: bool


def _option(
    default: Any,
    *flags: str,
    help: str,
    convert: Callable[[str], Any] | None = str,
    choices: Collection[str] | None = None,
    modes: frozenset[str] = _ALL,
    backends: frozenset[str] | None = None,
    resumes: bool = False,
) -> Any:
    """A field with its row: without `convert` a switch; with `resumes`, a resumed run must have the same value."""
    row = _Row(flags, help, convert, choices, modes, backends, resumes)
    return field(default=default, metadata={"row": row})


@dataclass(frozen=True)
class Options:
    """Everything a run can be told. Raises `PeelVitError` with a sentence for values that cannot work."""

    # Where it runs
    mode: str = _option("train", "--mode", "--exec_mode", "--exec-mode", choices=MODES, help="what to do")
    backend: str = _option("csim", "--backend", help=f"where programs run: {', '.join(backend_names())}")
    config: str = _option("zcu102", "--config", resumes=True, help="hardware configuration, by name or JSON file")
    variant: str = _option(
        "fast", "--variant", choices=VARIANTS, backends=frozenset({"csim"}), help="build of the C simulation"
    )
    memory_mib: int = _option(
        DEFAULT_LIMIT >> 20, "--memory-mib", convert=int, modes=_MODEL, help="device memory there is, in MiB"
    )
    board: str | None = _option(
        None, "--board", backends=_BOARD, help="ADDRESS or ADDRESS:PORT of a board; default: this machine"
    )
    bitfile: Path | None = _option(
        None, "--bitfile", convert=Path, backends=_BOARD, help="bitstream to load; default: deployed or built"
    )
    platform: str | None = _option(None, "--platform", backends=_BOARD, help="board platform")
    clk_mhz: float | None = _option(None, "--clk-mhz", convert=float, backends=_BOARD, help="clock of the fabric")
    power: bool = _option(False, "--power", convert=None, backends=_BOARD, help="measure power")
    timeout: float | None = _option(None, "--timeout", convert=float, backends=_BOARD, help="seconds a run may take")
    interrupts: bool = _option(
        False, "--interrupts", convert=None, backends=_BOARD, help="wait for interrupts instead of polling"
    )

    # Model and data
    model: str = _option(
        "vit_micro_patch4_32", "--model", modes=_MODEL, resumes=True, help="a preset, or vit:image=32,patch=4,..."
    )
    num_classes: int | None = _option(
        None, "--num-classes", convert=int, modes=_MODEL, resumes=True, help="classes; default: those of the data set"
    )
    img_size: int | None = _option(
        None, "--img-size", convert=int, modes=_MODEL, resumes=True, help="image edge in pixels; default: the model's"
    )
    initial_checkpoint: Path | None = _option(
        None, "--initial-checkpoint", "--pretrained-path", convert=Path, modes=_MODEL, resumes=True,
        help="float weights by timm's names, .npz or .safetensors",
    )  # fmt: skip
    reset_head: bool = _option(
        False, "--reset-head", convert=None, modes=_TRAIN, resumes=True, help="do not load the classifier's weights"
    )
    dataset: str = _option(
        "cifar10", "--dataset", modes=_SCORED | _EXECUTE, resumes=True, help="built-in data set or picture folder"
    )
    data_dir: Path | None = _option(None, "--data-dir", convert=Path, modes=_SCORED, help="where data sets are cached")
    train_images: int | None = _option(
        None, "--train-images", convert=int, modes=_SCORED, resumes=True, help="train on so many images only"
    )
    eval_images: int | None = _option(
        None, "--eval-images", convert=int, modes=_SCORED, resumes=True, help="evaluate on so many images only"
    )
    no_aug: bool = _option(False, "--no-aug", convert=None, modes=_TRAIN, resumes=True, help="no random crop and flip")
    inputfile: Path | None = _option(
        None, "--inputfile", convert=Path, modes=_EXECUTE, help="uint8 images [n, H, W, C], .npy"
    )
    outputfile: Path | None = _option(
        None, "--outputfile", convert=Path, modes=_EXECUTE, help="logits [n, classes], .npy; top-1 goes beside it"
    )

    # Optimization
    epochs: int = _option(10, "--epochs", convert=int, modes=_TRAIN, resumes=True, help="epochs of the schedules")
    steps: int | None = _option(
        None, "--steps", convert=int, modes=_TRAIN, help="stop after so many optimizer steps; --resume goes on"
    )
    batch_size: int = _option(
        16, "-b", "--batch-size", "--batchsize", convert=int, modes=_MODEL, resumes=True, help="images a micro-batch"
    )
    grad_accum_steps: int = _option(
        1, "--grad-accum-steps", convert=int, modes=_TRAIN, resumes=True, help="micro-batches an optimizer step"
    )
    opt: str = _option(
        "momentum",
        "--opt",
        choices=OPTIMIZERS,
        modes=_TRAIN,
        resumes=True,
        help="optimizer; adamw runs on the processor",
    )
    lr: float | None = _option(
        None, "--lr", convert=float, modes=_TRAIN, resumes=True,
        help=f"learning rate; default: {', '.join(f'{rate} for {name}' for name, rate in DEFAULT_RATES.items())}",
    )  # fmt: skip
    momentum: float = _option(0.9, "--momentum", convert=float, modes=_TRAIN, resumes=True, help="of --opt momentum")
    weight_decay: float = _option(1e-4, "--weight-decay", convert=float, modes=_TRAIN, resumes=True, help="of matrices")
    warmup_epochs: float = _option(
        0.5, "--warmup-epochs", convert=float, modes=_TRAIN, resumes=True, help="linear warm-up of the learning rate"
    )
    min_lr: float = _option(0.0, "--min-lr", convert=float, modes=_TRAIN, resumes=True, help="end of the cosine")
    smoothing: float = _option(0.1, "--smoothing", convert=float, modes=_TRAIN, resumes=True, help="of the labels")
    seed: int = _option(0, "--seed", convert=int, modes=_MODEL, resumes=True, help="source of everything random")

    # The three levels of sparsity
    example_keep: float = _option(
        1.0, "--example-keep", convert=float, modes=_TRAIN, resumes=True, help="part of the examples in training"
    )
    token_keep: float = _option(
        1.0, "--token-keep", convert=float, modes=_MODEL, resumes=True, help="part of the tokens a selector keeps"
    )
    attention_keep: float = _option(
        1.0, "--attention-keep", convert=float, modes=_MODEL, resumes=True, help="part of the keys a query keeps"
    )
    select_before: tuple[int, ...] = _option(
        SELECT_BEFORE, "--select-before", convert=places, modes=_MODEL, resumes=True, help="blocks behind selectors"
    )
    sparsity_warmup: tuple[float, float] | None = _option(
        None, "--sparsity-warmup", convert=span, modes=_TRAIN, resumes=True,
        help="START:END epochs between which keep ratios fall from 1; default: the paper's part of the run",
    )  # fmt: skip
    example_period: int | None = _option(
        None, "--example-period", convert=int, modes=_TRAIN, resumes=True,
        help="epochs between exchanges of examples; default: the paper's part of the run, a tenth",
    )  # fmt: skip
    example_remove: float = _option(
        0.05, "--example-remove", convert=float, modes=_TRAIN, resumes=True, help="part of the data exchanged each time"
    )
    example_iterations: int | None = _option(
        None, "--example-iterations", convert=int, modes=_TRAIN, resumes=True, help="exchanges; default: the paper's"
    )

    # The run
    resume: Path | None = _option(
        None, "--resume", convert=Path, modes=_MODEL, help="checkpoint, or folder of a run, to continue or to evaluate"
    )
    output: Path = _option(Path("runs/train_edge"), "--output", convert=Path, modes=_TRAIN, help="folder of the run")
    log_interval: int = _option(
        10, "--log-interval", convert=int, modes=_TRAIN, resumes=True, help="steps between two lines"
    )
    eval_interval: int = _option(
        1, "--eval-interval", convert=int, modes=_TRAIN, resumes=True, help="epochs between two evaluations"
    )
    checkpoint_interval: int = _option(
        200, "--checkpoint-interval", convert=int, modes=_TRAIN, help="steps between two checkpoints in an epoch"
    )
    no_progress: bool = _option(False, "--no-progress", convert=None, modes=_TRAIN, help="no progress on the terminal")

    def __post_init__(self) -> None:
        _check(self)

    @property
    def images_per_step(self) -> int:
        """Images of one optimizer step."""
        return self.batch_size * self.grad_accum_steps

    @property
    def learning_rate(self) -> float:
        """The learning rate given, or the optimizer's default."""
        return DEFAULT_RATES[self.opt] if self.lr is None else self.lr

    @property
    def warmup_span(self) -> tuple[float, float]:
        """Epochs between which the keep ratios fall."""
        start, end = PAPER_WARMUP
        return self.sparsity_warmup or (start * self.epochs, end * self.epochs)

    @property
    def exchange_period(self) -> int:
        """Epochs between two exchanges of examples."""
        return self.example_period or paper_period(self.epochs)

    @property
    def sparsity(self) -> Sparsity:
        """Token and attention level in the end, with which evaluations run."""
        return Sparsity(self.token_keep, self.attention_keep, self.select_before)

    def lasting(self) -> dict[str, Any]:
        """What makes the run what it is, wherever it lies and however often it is resumed; as JSON can hold it."""
        return {name: value for name, value in as_json(self).items() if name not in _PASSING}


def paper_period(epochs: int) -> int:
    """The paper's period between exchanges of examples in a run of so many epochs."""
    return max(1, round(PAPER_PERIOD * epochs))


def check_period(example_keep: float, period: int | None, epochs: int) -> None:
    """Refuse a period between exchanges of examples, given by the user, in which the run of `epochs` has none."""
    if example_keep < 1 and period is not None and period > epochs:
        raise PeelVitError(
            f"--example-period is {period} in a run of {epochs} epochs, which would never exchange examples; "
            "give a shorter period or train longer"
        )


_ROWS: dict[str, _Row] = {f.name: f.metadata["row"] for f in fields(Options)}


def must_match(name: str) -> bool:
    """Whether a resumed run must have the value of `name` that it was started with."""
    return name in _ROWS and _ROWS[name].resumes


def flag(name: str) -> str:
    """How users write the option with field name `name`."""
    flags = _ROWS[name].flags
    return next(text for text in flags if text.startswith("--"))


def as_json(options: Options) -> dict[str, Any]:
    """All options as JSON can hold them."""
    return {name: _plain(value) for name, value in asdict(options).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Option values back from `as_json`; unknown names are left out."""
    return {name: _typed(name, value) for name, value in values.items() if name in _ROWS}


def _typed(name: str, value: Any) -> Any:
    if _ROWS[name].convert is Path and value is not None:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def parse(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The options given on the command line, by field name; `PeelVitError` for what is wrong with them."""
    given = vars(_parser().parse_args(arguments))
    level = given.pop("level", None)
    if level is not None:
        names = ("example_keep", "token_keep", "attention_keep")
        given = dict(zip(names, LEVELS[level], strict=True)) | given
    _check_meaning(given, level is not None)
    return given


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="train_edge.py",
        description="Train a tri-level sparse Vision Transformer on the accelerator, or run one there.",
        epilog="Example: train_edge.py --dataset cifar10 --level 0.8 --epochs 10 --output runs/tri-level",
        argument_default=argparse.SUPPRESS,
    )
    for f in fields(Options):
        row = _ROWS[f.name]
        shown = row.help if f.default in (None, False) else f"{row.help}; default: {_shown(f.default)}"
        kind: dict[str, Any] = {"action": "store_true"}
        if row.convert is not None:
            kind = {"type": row.convert, "choices": row.choices, "metavar": None if row.choices else f.name.upper()}
        parser.add_argument(*row.flags, dest=f.name, help=shown.replace("%", "%%"), **kind)
    parser.add_argument("--level", choices=LEVELS, help="all three keep ratios at once; single ones given win")
    return parser


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_meaning(given: Mapping[str, Any], level: bool) -> None:
    """Refuse options without an effect for the mode or the backend."""
    mode, backend = given.get("mode", "train"), given.get("backend", "csim")
    if backend not in backend_names():
        raise PeelVitError(f"there is no backend {backend}; choose {', '.join(backend_names())}")
    for name in given:
        row = _ROWS[name]
        if mode not in row.modes and not (level and name == "example_keep"):
            raise PeelVitError(f"{flag(name)} has no effect with --mode {mode}; leave it out")
        if row.backends is not None and backend not in row.backends:
            raise PeelVitError(f"{flag(name)} has no effect with --backend {backend}; leave it out")
    if "momentum" in given and given.get("opt", "momentum") != "momentum":
        raise PeelVitError(f"--momentum has no effect with --opt {given['opt']}; leave it out")


_AT_LEAST_ONE = (
    "memory_mib", "num_classes", "img_size", "train_images", "eval_images", "epochs", "steps", "batch_size",
    "grad_accum_steps", "example_period", "log_interval", "eval_interval", "checkpoint_interval",
)  # fmt: skip
_AT_LEAST_ZERO = ("lr", "min_lr", "weight_decay", "warmup_epochs", "seed", "example_iterations")


def _check(options: Options) -> None:
    for names, least in ((_AT_LEAST_ONE, 1), (_AT_LEAST_ZERO, 0)):
        for name in names:
            value = getattr(options, name)
            if value is not None and not least <= value < float("inf"):
                raise PeelVitError(f"{flag(name)} is {value}; give {least} or more")
    for name in ("momentum", "smoothing"):
        if not 0 <= getattr(options, name) < 1:
            raise PeelVitError(f"{flag(name)} is {getattr(options, name)}; give a number from 0 to below 1")
    for name in ("example_keep", "token_keep", "attention_keep"):
        check_ratio(getattr(options, name), name.replace("_", " ") + " ratio")
    for name in ("mode", "opt", "variant"):
        choices = _ROWS[name].choices or ()
        if getattr(options, name) not in choices:
            raise PeelVitError(f"{flag(name)} is {getattr(options, name)}; choose {', '.join(choices)}")
    start, end = options.warmup_span
    if not 0 <= start <= end:
        raise PeelVitError(f"--sparsity-warmup {start:g}:{end:g} runs backwards; give START:END epochs, such as 1:4")
    if options.resume is None:  # else the rest comes from the checkpoint, which was checked
        check_period(options.example_keep, options.example_period, options.epochs)
    average_shift(options.images_per_step)
    parse_model(options.model, classes=options.num_classes or 2, channels=1)
