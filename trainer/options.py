"""The options of `python -m trainer.train`: one table gives command line, YAML keys, defaults and checks.

Names are timm's where timm has the option. Values come from the command line, then from the file of `--config`, then
from the defaults. An option that was given but cannot have an effect is refused, so that nothing is believed to have
had one; what a file says and the command line makes meaningless is dropped.
"""

# ruff: noqa: RUF009 (a dataclass field made by a function of our own is still a dataclass field)
from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from host.command_line import places, span
from host.errors import PeelVitError
from host.options import LEVELS as TRIPLES
from host.options import PAPER_WARMUP, check_period
from host.schedules import check_ratio
from trainer.command_line import Parser, config_values

LEVELS = {name if name == "dense" else f"trilevel_{name}": triple for name, triple in TRIPLES.items()}
"""Keep ratios of (examples, tokens, attention) by preset; they fit the paper's training MACs."""

_LEVEL_NAMES = ("example_keep", "token_keep", "attention_keep")

METRICS = {"top1": max, "top5": max, "loss": min}
"""What the best epoch can be chosen by, and whether more or less is better."""


@dataclass(frozen=True)
class _Row:
    """What the command line and a resume need to know of one option."""

    flags: tuple[str, ...]
    help: str
    convert: Callable[[str], Any] | None
    choices: Collection[str] | None
    count: int | None
    evaluates: bool
    resumes: bool


def _option(
    default: Any,
    *flags: str,
    help: str,
    convert: Callable[[str], Any] | None = str,
    choices: Collection[str] | None = None,
    count: int | None = None,
    evaluates: bool = False,
    resumes: bool = True,
) -> Any:
    """A field with its row.

    Without `convert` it is a switch; `count` values are taken, -1 meaning that the option may be repeated. With
    `evaluates` it also means something to `--evaluate`; with `resumes` a resumed run must have the same value.
    """
    return field(default=default, metadata={"row": _Row(flags, help, convert, choices, count, evaluates, resumes)})


def _setting(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise ValueError
    return key, value


def _name(text: str) -> str | None:
    return None if text.lower() == "none" else text


_setting.__name__, _name.__name__ = "setting such as KEY=VALUE", "name"


@dataclass(frozen=True)
class Options:
    """Everything a run can be told. Raises `PeelVitError` with a sentence for values that cannot work."""

    # What it does
    evaluate: bool = _option(
        False, "-e", "--evaluate", convert=None, evaluates=True, resumes=False,
        help="evaluate --resume or --initial-checkpoint and stop",
    )  # fmt: skip
    numerics: str = _option(
        "fp32", "--numerics", choices=("fp32", "fixed16"), help="float on this machine, or the accelerator's arithmetic"
    )
    hardware_config: str = _option("zcu102", "--hardware-config", help="the accelerator of --numerics fixed16")
    device: str | None = _option(
        None, "--device", evaluates=True, resumes=False, help="cpu, cuda or cuda:N; default: a GPU where there is one"
    )

    # Data
    dataset: str | None = _option(
        None, "--dataset", evaluates=True, help="data set by name, or folder; default: --data-dir, or cifar10"
    )
    data_dir: Path | None = _option(
        None, "--data-dir", convert=Path, evaluates=True, resumes=False,
        help="folder of the data, or where built-in data sets are cached",
    )  # fmt: skip
    download: bool = _option(
        False, "--download", convert=None, evaluates=True, resumes=False, help="fetch the data set if it is not there"
    )
    train_images: int | None = _option(None, "--train-images", convert=int, help="train on so many images only")
    eval_images: int | None = _option(
        None, "--eval-images", convert=int, evaluates=True, help="evaluate on so many images only"
    )
    workers: int = _option(
        4, "-j", "--workers", convert=int, evaluates=True, resumes=False, help="processes that read pictures"
    )

    # Model
    model: str = _option(
        "deit_tiny_patch16_224", "--model", evaluates=True, help="by name, or vit:image=32,patch=4,dim=64,..."
    )
    initial_checkpoint: Path | None = _option(
        None, "--initial-checkpoint", convert=Path, evaluates=True, help="weights with timm's names to start from"
    )
    reset_head: bool = _option(False, "--reset-head", convert=None, help="do not load the classifier's weights")
    num_classes: int | None = _option(
        None, "--num-classes", convert=int, evaluates=True, help="classes; default: those of the data set"
    )
    img_size: int | None = _option(
        None, "--img-size", convert=int, evaluates=True, help="image edge in pixels; default: the model's"
    )
    in_chans: int | None = _option(
        None, "--in-chans", convert=int, evaluates=True, help="colour channels; default: those of the data set"
    )
    drop_path: float = _option(0.0, "--drop-path", convert=float, help="rate of stochastic depth in the last block")

    # Tri-level sparsity and the methods it is compared with
    example_method: str | None = _option(
        None, "--example-method", help="who chooses the training examples; default: trilevel, or all at keep ratio 1"
    )
    example_keep: float = _option(1.0, "--example-keep", convert=float, help="part of the examples in training")
    example_period: int | None = _option(
        None, "--example-period", convert=int, help="epochs between exchanges of examples; default: a tenth of the run"
    )
    example_remove: float | None = _option(
        None, "--example-remove", convert=float, help="part of the data exchanged each time; default: the method's"
    )
    example_iterations: int | None = _option(
        None, "--example-iterations", convert=int, help="exchanges of examples; default: the method's"
    )
    example_option: tuple[tuple[str, str], ...] = _option(
        (), "--example-option", convert=_setting, count=-1, help="setting KEY=VALUE of the example method; repeatable"
    )
    token_method: str = _option("trilevel", "--token-method", evaluates=True, help="which tokens stay")
    token_keep: float = _option(
        1.0, "--token-keep", convert=float, evaluates=True, help="part of the tokens a selector keeps, in the end"
    )
    attention_method: str = _option("selected", "--attention-method", evaluates=True, help="which connections stay")
    attention_keep: float = _option(
        1.0, "--attention-keep", convert=float, evaluates=True, help="part of the keys a query keeps, in the end"
    )
    select_before: tuple[int, ...] | None = _option(
        None, "--select-before", convert=places, evaluates=True,
        help="blocks behind selectors, from 1; default: the model's",
    )  # fmt: skip
    selector_placement: str = _option(
        "before", "--selector-placement", choices=("before", "inside"), evaluates=True,
        help="selectors stand before their block, or inside it after its attention",
    )  # fmt: skip
    keep_warmup: tuple[float, float] | None = _option(
        None, "--keep-warmup", convert=span,
        help="START:END epochs between which keep ratios fall from 1; default: the paper's part of the run",
    )  # fmt: skip
    method_option: tuple[tuple[str, str], ...] = _option(
        (), "--method-option", convert=_setting, count=-1, evaluates=True,
        help="setting KEY=VALUE of the token method; repeatable",
    )  # fmt: skip
    curriculum: str = _option(
        "none", "--curriculum", choices=("none", "efficienttrain++"), help="smaller and plainer images first"
    )
    teacher: str | None = _option(None, "--teacher", help="model that a distilling token method learns from")
    teacher_checkpoint: Path | None = _option(
        None, "--teacher-checkpoint", convert=Path, help="weights of the teacher, with timm's names"
    )

    # Optimization
    epochs: int = _option(300, "--epochs", convert=int, help="epochs of the schedules")
    steps: int | None = _option(
        None, "--steps", convert=int, resumes=False, help="stop after so many updates; --resume goes on"
    )
    batch_size: int = _option(
        128, "-b", "--batch-size", convert=int, evaluates=True, help="images a micro-batch and process"
    )
    validation_batch_size: int | None = _option(
        None, "-vb", "--validation-batch-size", convert=int, evaluates=True, resumes=False,
        help="images an evaluation batch; default: --batch-size",
    )  # fmt: skip
    grad_accum_steps: int = _option(1, "--grad-accum-steps", convert=int, help="micro-batches an update")
    opt: str = _option(
        "adamw", "--opt", choices=("adamw", "adamw-fabric", "sgd"), help="optimizer; -fabric needs fixed16"
    )
    opt_eps: float = _option(1e-8, "--opt-eps", convert=float, help="epsilon of AdamW")
    opt_betas: tuple[float, ...] = _option((0.9, 0.999), "--opt-betas", convert=float, count=2, help="betas of AdamW")
    momentum: float = _option(0.9, "--momentum", convert=float, help="of --opt sgd")
    weight_decay: float = _option(0.05, "--weight-decay", convert=float, help="of matrices")
    clip_grad: float | None = _option(
        None, "--clip-grad", convert=float, resumes=False, help="largest norm of the gradient"
    )
    layer_decay: float | None = _option(
        None, "--layer-decay", convert=float, help="factor of the learning rate from each block to the one below"
    )
    sched: str = _option("cosine", "--sched", choices=("cosine",), help="course of the learning rate")
    lr: float | None = _option(
        None, "--lr", convert=float, resumes=False,
        help="learning rate; default: --lr-base * global batch / --lr-base-size",
    )  # fmt: skip
    lr_base: float = _option(5e-4, "--lr-base", convert=float, help="learning rate at --lr-base-size images an update")
    lr_base_size: int = _option(512, "--lr-base-size", convert=int, help="images an update that --lr-base is for")
    warmup_lr: float = _option(1e-6, "--warmup-lr", convert=float, help="learning rate at the start of the warm-up")
    min_lr: float = _option(1e-5, "--min-lr", convert=float, help="learning rate at the end of the cosine")
    warmup_epochs: float | None = _option(
        None, "--warmup-epochs", convert=float,
        help="linear warm-up of the learning rate; default: 5, or a tenth of a run that is shorter than 50",
    )  # fmt: skip
    smoothing: float = _option(0.1, "--smoothing", convert=float, help="of the labels")
    model_ema: bool = _option(False, "--model-ema", convert=None, help="keep and evaluate a moving average of weights")
    model_ema_decay: float = _option(0.9998, "--model-ema-decay", convert=float, help="of the moving average")
    model_ema_warmup: bool = _option(
        False, "--model-ema-warmup", convert=None, help="a shorter average in the beginning"
    )
    seed: int = _option(42, "--seed", convert=int, help="source of everything random")

    # Augmentation
    no_aug: bool = _option(False, "--no-aug", convert=None, help="images as they are")
    crop_padding: int = _option(
        0, "--crop-padding", convert=int, help="random crop of the image padded by so many pixels; 4 is usual at 32"
    )
    scale: tuple[float, float] = _option(
        (0.08, 1.0), "--scale", convert=float, count=2, help="part of a picture's area that a random crop takes"
    )
    ratio: tuple[float, float] = _option((3 / 4, 4 / 3), "--ratio", convert=float, count=2, help="aspect of that crop")
    train_interpolation: str = _option(
        "random", "--train-interpolation", choices=("random", "bilinear", "bicubic"), help="of that crop"
    )
    crop_pct: float = _option(
        0.9, "--crop-pct", convert=float, evaluates=True, help="part of a picture's shorter side that is evaluated"
    )
    aa: str | None = _option(None, "--aa", convert=_name, help="RandAugment policy such as rand-m9-mstd0.5-inc1")
    aug_repeats: int = _option(0, "--aug-repeats", convert=int, help="views of each image (repeated augmentation)")
    reprob: float = _option(0.0, "--reprob", convert=float, help="probability of random erasing")
    remode: str = _option("pixel", "--remode", choices=("const", "rand", "pixel"), help="what erased parts become")
    recount: int = _option(1, "--recount", convert=int, help="parts erased")
    color_jitter: float = _option(0.4, "--color-jitter", convert=float, help="strength, where there is no --aa")
    hflip: float | None = _option(
        None, "--hflip", convert=float, help="probability of mirroring; default: 0.5, or 0 where it changes the class"
    )
    vflip: float = _option(0.0, "--vflip", convert=float, help="probability of turning upside down")
    mixup: float = _option(0.0, "--mixup", convert=float, help="alpha of mixup, 0 for none")
    cutmix: float = _option(0.0, "--cutmix", convert=float, help="alpha of cutmix, 0 for none")
    mixup_prob: float = _option(1.0, "--mixup-prob", convert=float, help="probability of mixup or cutmix")
    mixup_switch_prob: float = _option(0.5, "--mixup-switch-prob", convert=float, help="of cutmix where both are on")

    mixup_mode: str = _option("batch", "--mixup-mode", choices=("batch", "pair", "elem"), help="what one draw is for")

    # Speed
    amp: bool = _option(False, "--amp", convert=None, evaluates=True, help="matrix products in 16-bit floats")
    amp_dtype: str | None = _option(
        None, "--amp-dtype", choices=("float16", "bfloat16"), evaluates=True, resumes=False,
        help="which ones; default: float16 on a GPU, bfloat16 on a CPU",
    )  # fmt: skip
    channels_last: bool = _option(
        False, "--channels-last", convert=None, evaluates=True, resumes=False, help="images with channels innermost"
    )
    torchcompile: bool = _option(
        False, "--torchcompile", convert=None, evaluates=True, resumes=False, help="compile the model's blocks"
    )

    # The run
    resume: Path | None = _option(
        None, "--resume", convert=Path, evaluates=True, resumes=False,
        help="checkpoint, or folder of a run, to continue or to evaluate",
    )  # fmt: skip
    output: Path = _option(Path("runs/train"), "--output", convert=Path, resumes=False, help="folder of runs")
    experiment: str | None = _option(None, "--experiment", resumes=False, help="folder of this run in --output")
    eval_metric: str = _option("top1", "--eval-metric", choices=METRICS, help="what the best epoch is chosen by")
    val_interval: int = _option(1, "--val-interval", convert=int, help="epochs between two evaluations")
    log_interval: int = _option(50, "--log-interval", convert=int, resumes=False, help="updates between two reports")
    recovery_interval: int = _option(
        0, "--recovery-interval", convert=int, resumes=False, help="updates between two checkpoints within an epoch"
    )
    checkpoint_hist: int = _option(
        1, "--checkpoint-hist", convert=int, resumes=False, help="best epochs whose checkpoints are kept"
    )
    no_progress: bool = _option(
        False, "--no-progress", convert=None, evaluates=True, resumes=False, help="nothing on the terminal"
    )

    def __post_init__(self) -> None:
        _check(self)

    @property
    def folder(self) -> Path:
        """Where the run's files are."""
        return self.output if self.experiment is None else self.output / self.experiment

    @property
    def data_name(self) -> str:
        """Data set by name or folder."""
        if self.dataset is not None:
            return self.dataset
        return "cifar10" if self.data_dir is None else str(self.data_dir)

    @property
    def update_size(self) -> int:
        """Images of one update in one process."""
        return self.batch_size * self.grad_accum_steps

    @property
    def chosen_example_method(self) -> str:
        """The example method given, or what the keep ratio calls for."""
        return self.example_method or ("all" if self.example_keep == 1 else "trilevel")

    def learning_rate(self, world: int) -> float:
        """The learning rate given, or that of the global batch of `world` processes."""
        return self.lr if self.lr is not None else self.lr_base * self.update_size * world / self.lr_base_size

    @property
    def rate_warmup(self) -> float:
        """Epochs in which the learning rate rises."""
        return min(5.0, self.epochs / 10) if self.warmup_epochs is None else self.warmup_epochs

    @property
    def warmup_span(self) -> tuple[float, float]:
        """Epochs between which the keep ratios fall."""
        start, end = PAPER_WARMUP
        return self.keep_warmup or (start * self.epochs, end * self.epochs)


_ROWS: dict[str, _Row] = {f.name: f.metadata["row"] for f in fields(Options)}
DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Options)}


def must_match(name: str) -> bool:
    """Whether a resumed run must have the value of `name` that it was started with."""
    return name in _ROWS and _ROWS[name].resumes


def is_for_evaluation(name: str) -> bool:
    """Whether `name` means something to `--evaluate`."""
    return name in _ROWS and _ROWS[name].evaluates


def flag(name: str) -> str:
    """How users write the option with field name `name`."""
    return next(text for text in _ROWS[name].flags if text.startswith("--"))


def as_plain(options: Options) -> dict[str, Any]:
    """All options as YAML and JSON can hold them; `from_plain` reads them back."""
    return {name: _plain(value) for name, value in asdict(options).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


_PASSING = ("evaluate", "resume", "output", "experiment", "no_progress")


def lasting(options: Options) -> dict[str, Any]:
    """What makes the run what it is, wherever it lies and however often it is resumed."""
    return {name: value for name, value in as_plain(options).items() if name not in _PASSING}


def from_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Option values back from `as_plain`; unknown names are left out."""
    return {name: _typed(name, value) for name, value in values.items() if name in _ROWS}


def _typed(name: str, value: Any) -> Any:
    if _ROWS[name].convert is Path and value is not None:
        return Path(value)
    if isinstance(value, list):
        return tuple(tuple(part) if isinstance(part, list) else part for part in value)
    return value


def as_yaml(options: Options) -> dict[str, Any]:
    """All options that are not None by their names in a `--config` file, so that args.yaml can be one."""
    return {flag(name)[2:]: _written(value) for name, value in asdict(options).items() if value not in (None, ())}


def _written(value: Any) -> Any:
    if not isinstance(value, tuple):
        return str(value) if isinstance(value, Path) else value
    if isinstance(value[0], tuple):
        return ["=".join(pair) for pair in value]
    return list(value) if len(value) == 2 and isinstance(value[0], float) else ",".join(map(str, value))


def parse(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The options given on the command line and in the file of `--config`, by field name.

    Raises `PeelVitError` for what is wrong with them, options without an effect among it.
    """
    command_line, file = config_values(_parser(), arguments)
    command_line, file = _spread_level(command_line), _spread_level(file)
    file = {name: value for name, value in file.items() if value != DEFAULTS[name]}
    given = file | command_line
    while found := _without_effect(Options(**given), given):  # what is dropped may leave others without an effect
        for name, reason in found:
            if name in command_line or not _may_be_dropped(name, file, command_line):
                raise PeelVitError(f"{flag(name)} has no effect with {reason}; leave it out")
            given.pop(name, None)
    return given


def _spread_level(given: dict[str, Any]) -> dict[str, Any]:
    """Put the keep ratios of the preset in its place; single ones that are given win."""
    level = given.pop("level", None)
    return given if level is None else dict(zip(_LEVEL_NAMES, LEVELS[level], strict=True)) | given


def _may_be_dropped(name: str, file: Mapping[str, Any], command_line: Mapping[str, Any]) -> bool:
    """Whether `name` may be dropped from the file: it means something there alone, or with a level yet to be given."""
    if name in (*_SELECTORS, *_EXAMPLES):
        return True
    return bool(command_line) and name not in dict(_without_effect(Options(**file), file))


def _parser() -> Parser:
    parser = Parser(
        prog="python -m trainer.train",
        description="Train a Vision Transformer with tri-level sparsity.",
        epilog="Example: python -m trainer.train --config cifar10_micro --level trilevel_0.9 --output runs/0.9",
    )
    for f in fields(Options):
        row = _ROWS[f.name]
        shown = row.help if f.default in (None, False, ()) else f"{row.help}; default: {_shown(f.default)}"
        parser.add_argument(*row.flags, dest=f.name, help=shown.replace("%", "%%"), **_kind(f.name, row))
    parser.add_argument("--level", choices=LEVELS, help="all three keep ratios at once; single ones given win")
    return parser


def _kind(name: str, row: _Row) -> dict[str, Any]:
    """What argparse is told of an option besides its flags and help."""
    if row.convert is None:
        negative = name.startswith("no_") or name == "evaluate"
        return {"action": "store_true" if negative else argparse.BooleanOptionalAction}
    kind = {"type": row.convert, "choices": row.choices, "metavar": None if row.choices else name.upper()}
    if row.count is None:
        return kind
    return kind | ({"action": "append"} if row.count < 0 else {"nargs": row.count})


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_AUGMENTATION = ("crop_padding", "aa", "reprob", "color_jitter", "hflip", "vflip", "mixup", "cutmix")
_EXAMPLES = ("example_period", "example_remove", "example_iterations")
_SELECTORS = ("select_before", "selector_placement", "keep_warmup")

_Rule = tuple[Sequence[str], str, Callable[[Options], bool]]
_NO_EFFECT: tuple[_Rule, ...] = (
    (("momentum",), "--opt adamw", lambda o: o.opt == "adamw"),
    (("momentum",), "--opt adamw-fabric", lambda o: o.opt == "adamw-fabric"),
    (("opt_eps", "opt_betas"), "--opt sgd", lambda o: o.opt == "sgd"),
    (("lr_base", "lr_base_size"), "--lr", lambda o: o.lr is not None),
    (("warmup_lr",), "--warmup-epochs 0", lambda o: o.warmup_epochs == 0),
    (_AUGMENTATION, "--no-aug", lambda o: o.no_aug),
    (("remode", "recount"), "--reprob 0", lambda o: not o.reprob),
    (("mixup_prob", "mixup_mode"), "neither --mixup nor --cutmix", lambda o: not (o.mixup or o.cutmix)),
    (("mixup_switch_prob",), "only one of --mixup and --cutmix, or none", lambda o: not (o.mixup and o.cutmix)),
    (("color_jitter",), "--aa, which jitters colours itself", lambda o: o.aa is not None),
    (("model_ema_decay", "model_ema_warmup"), "no --model-ema", lambda o: not o.model_ema),
    (("amp_dtype",), "no --amp", lambda o: not o.amp),
    (_EXAMPLES, "all examples in training", lambda o: o.chosen_example_method == "all"),
    (("example_keep", "example_option"), "--example-method all", lambda o: o.chosen_example_method == "all"),
    (_SELECTORS, "all tokens and connections kept", lambda o: min(o.token_keep, o.attention_keep) == 1),
    (("teacher_checkpoint",), "no --teacher", lambda o: o.teacher is None),
    (("reset_head",), "no --initial-checkpoint", lambda o: o.initial_checkpoint is None),
    (("hardware_config",), "--numerics fp32", lambda o: o.numerics == "fp32"),
)


def _without_effect(options: Options, given: Collection[str]) -> list[tuple[str, str]]:
    """Those of the options `given` that mean nothing, each with the reason; what is already off needs no reason."""
    found: list[tuple[str, str]] = []
    if options.resume is None:  # else all but a few must be as they were, whether they mean anything or not
        found = [
            (name, reason)
            for names, reason, applies in _NO_EFFECT
            if applies(options)
            for name in names
            if name in given and _is_on(name, getattr(options, name))
        ]
    if options.evaluate:
        found += [(name, "--evaluate") for name in given if not (_ROWS[name].evaluates or name in _LEVEL_NAMES)]
    return found


def _is_on(name: str, value: Any) -> bool:
    """Whether a value asks for anything: zero augmentation, a switch that is off or a ratio of 1 does not."""
    off = (name in _AUGMENTATION and value == 0) or (name in _LEVEL_NAMES and value == 1)
    return not (off or value is None or value is False or value == ())


_AT_LEAST_ONE = (
    "train_images", "eval_images", "num_classes", "img_size", "in_chans", "example_period", "epochs", "steps",
    "batch_size", "validation_batch_size", "grad_accum_steps", "lr_base_size", "val_interval", "log_interval",
    "recount",
)  # fmt: skip
_AT_LEAST_ZERO = (
    "workers", "crop_padding", "example_iterations", "opt_eps", "weight_decay", "lr", "lr_base", "warmup_lr", "min_lr",
    "warmup_epochs", "seed", "aug_repeats", "color_jitter", "mixup", "cutmix", "recovery_interval",
    "checkpoint_hist",
)  # fmt: skip
_BELOW_ONE = ("momentum", "smoothing", "drop_path", "model_ema_decay")
_PROBABILITIES = ("reprob", "hflip", "vflip", "mixup_prob", "mixup_switch_prob")


def _check(options: Options) -> None:
    _check_numbers(options)
    for name in _LEVEL_NAMES:
        check_ratio(getattr(options, name), name.replace("_", " ") + " ratio")
    for name, row in _ROWS.items():
        if row.choices and getattr(options, name) not in (*row.choices, DEFAULTS[name]):
            raise PeelVitError(f"{flag(name)} is {getattr(options, name)}; choose {', '.join(row.choices)}")
    start, end = options.warmup_span
    if not 0 <= start <= end:
        raise PeelVitError(f"--keep-warmup {start:g}:{end:g} runs backwards; give START:END epochs, such as 10:110")
    if options.rate_warmup > options.epochs:
        raise PeelVitError(
            f"--warmup-epochs is {options.rate_warmup:g} in a run of {options.epochs} epochs; "
            "shorten the warm-up or train longer"
        )
    if options.opt == "adamw-fabric" and options.numerics != "fixed16":
        raise PeelVitError("--opt adamw-fabric is the accelerator's; give --numerics fixed16, or use --opt adamw")
    if options.resume is None:  # else the rest comes from the checkpoint, which was checked
        check_period(options.example_keep, options.example_period, options.epochs)
    if options.evaluate and options.resume is None and options.initial_checkpoint is None:
        raise PeelVitError("there is nothing to evaluate; give --resume or --initial-checkpoint")


def _check_numbers(options: Options) -> None:
    for names, least in ((_AT_LEAST_ONE, 1), (_AT_LEAST_ZERO, 0)):
        for name in names:
            value = getattr(options, name)
            if value is not None and not least <= value < math.inf:
                raise PeelVitError(f"{flag(name)} is {value}; give {least} or more")
    ranges: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
        (_BELOW_ONE, "from 0 to below 1", lambda x: 0 <= x < 1),
        (_PROBABILITIES, "from 0 to 1", lambda x: x is None or 0 <= x <= 1),
        (("clip_grad",), "above 0", lambda x: x is None or 0 < x < math.inf),
        (("layer_decay",), "above 0 and at most 1", lambda x: x is None or 0 < x <= 1),
    )
    for bounded, shown, inside in ranges:
        for name in bounded:
            if not inside(getattr(options, name)):
                raise PeelVitError(f"{flag(name)} is {getattr(options, name)}; give a number {shown}")
    if not all(0 <= beta < 1 for beta in options.opt_betas):
        raise PeelVitError(f"--opt-betas are {_shown(options.opt_betas)}; give two numbers from 0 to below 1")
