"""The training program's options: sources, presets, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from host.errors import PeelVitError
from host.options import LEVELS as TRIPLES
from trainer.command_line import shipped_configs
from trainer.options import LEVELS, Options, as_plain, as_yaml, from_plain, parse


def given(*arguments: str) -> dict[str, Any]:
    return parse([word for argument in arguments for word in argument.split()])


def config(folder: Path, text: str) -> str:
    path = folder / "config.yaml"
    path.write_text(text)
    return f"--config {path}"


@pytest.mark.parametrize("level", ["0.9", "0.8", "0.7"])
def test_a_level_is_the_published_triple(level: str) -> None:
    values = given(f"--level trilevel_{level}")
    assert (values["example_keep"], values["token_keep"], values["attention_keep"]) == TRIPLES[level]
    assert LEVELS["dense"] == (1.0, 1.0, 1.0)


def test_a_single_ratio_wins_over_its_level_and_the_command_line_over_the_file(tmp_path: Path) -> None:
    file = config(tmp_path, "level: trilevel_0.8\ntoken_keep: 0.5\n")
    assert given(file)["token_keep"] == 0.5
    assert given(file, "--level trilevel_0.9")["token_keep"] == 0.9
    assert given(file, "--level trilevel_0.9 --token-keep 0.6")["token_keep"] == 0.6
    assert given(file, "--attention-keep 0.4")["example_keep"] == 0.9


def test_a_file_gives_what_the_command_line_does_not(tmp_path: Path) -> None:
    file = config(tmp_path, "epochs: 7\nlr: 5e-4\nopt-betas: [0.9, 0.95]\nmodel_ema: true\naa: none\nseed: null\n")
    values = given(file, "--epochs 9 --no-model-ema")
    assert values == {"epochs": 9, "lr": 5e-4, "opt_betas": (0.9, 0.95), "model_ema": False}


def test_what_the_command_line_makes_meaningless_is_dropped_from_the_file(tmp_path: Path) -> None:
    file = config(tmp_path, "mixup: 0.8\nmixup-prob: 0.5\nmodel-ema: true\nmodel-ema-decay: 0.9\nmomentum: 0.9\n")
    assert given(file, "--no-aug --no-model-ema") == {"no_aug": True, "model_ema": False}


def test_a_file_may_place_selectors_that_a_level_will_use(tmp_path: Path) -> None:
    file = config(tmp_path, "select-before: 2,3\n")
    assert given(file) == {}
    assert given(file, "--level trilevel_0.9")["select_before"] == (2, 3)


def test_a_file_may_hold_nothing_but_comments(tmp_path: Path) -> None:
    assert given(config(tmp_path, "# epochs: 7\n")) == {}


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configurations_work(name: str) -> None:
    Options(**given(f"--config {name}"))
    Options(**given(f"--config {name} --level trilevel_0.9 --no-aug"))


def test_deit_recipe() -> None:
    options = Options(**given("--config deit_tiny_224"))
    assert (options.opt, options.epochs, options.weight_decay, options.drop_path) == ("adamw", 300, 0.05, 0.1)
    assert (options.mixup, options.cutmix, options.reprob, options.aug_repeats) == (0.8, 1.0, 0.25, 3)
    assert options.learning_rate(world=4) == pytest.approx(5e-4 * 1024 / 512)
    assert options.warmup_span == pytest.approx((10, 110))
    assert options.model_ema


def test_args_yaml_is_a_configuration(tmp_path: Path) -> None:
    options = Options(
        **given("--level trilevel_0.8 --select-before 2,3 --example-option a=1 --opt-betas 0.8 0.9 --amp")
    )
    again = Options(**given(config(tmp_path, yaml.safe_dump(as_yaml(options)))))
    assert again == options
    assert Options(**from_plain(as_plain(options))) == options


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ("--mixpu 0.8", "there is no option --mixpu; did you mean --mixup?"),
        ("--epochs many", "argument --epochs: invalid int value: 'many'; --help lists the options"),
        ("--epochs 0", "--epochs is 0; give 1 or more"),
        ("--lr nan", "--lr is nan; give 0 or more"),
        ("--token-keep 1.5", "the token keep ratio is 1.5; give a number above 0 and at most 1"),
        ("--momentum 0.9", "--momentum has no effect with --opt adamw; leave it out"),
        ("--opt sgd --opt-eps 1", "--opt-eps has no effect with --opt sgd; leave it out"),
        ("--lr 1 --lr-base 1", "--lr-base has no effect with --lr; leave it out"),
        ("--no-aug --mixup 0.8", "--mixup has no effect with --no-aug; leave it out"),
        ("--mixup-prob 0.5", "--mixup-prob has no effect with neither --mixup nor --cutmix; leave it out"),
        ("--model-ema-decay 0.9", "--model-ema-decay has no effect with no --model-ema; leave it out"),
        ("--amp-dtype bfloat16", "--amp-dtype has no effect with no --amp; leave it out"),
        ("--example-period 3", "--example-period has no effect with all examples in training; leave it out"),
        ("--select-before 2", "--select-before has no effect with all tokens and connections kept; leave it out"),
        ("--teacher-checkpoint x", "--teacher-checkpoint has no effect with no --teacher; leave it out"),
        ("-e", "there is nothing to evaluate; give --resume or --initial-checkpoint"),
        ("-e --resume x --epochs 3", "--epochs has no effect with --evaluate; leave it out"),
        ("--epochs 3 --warmup-epochs 5",
         "--warmup-epochs is 5 in a run of 3 epochs; shorten the warm-up or train longer"),
        ("--example-keep 0.9 --epochs 3 --example-period 4",
         "--example-period is 4 in a run of 3 epochs, which would never exchange examples; "
         "give a shorter period or train longer"),
        ("--keep-warmup 3:1 --level trilevel_0.9",
         "--keep-warmup 3:1 runs backwards; give START:END epochs, such as 10:110"),
        ("--config nowhere", "cannot read the configuration nowhere: No such file or directory; give a file or one of "
         + ", ".join(shipped_configs())),
    ],
)  # fmt: skip
def test_one_sentence_for_each_mistake(arguments: str, sentence: str) -> None:
    with pytest.raises(PeelVitError) as error:
        given(arguments)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("epochz: 3", "there is no option --epochz; did you mean --epochs?"),
        ("- 3", "config.yaml holds no options by name; write one 'option: value' a line"),
        ("[3", "write one 'option: value' a line"),
        ("momentum: 0.5", "--momentum has no effect with --opt adamw; leave it out"),
    ],
)
def test_one_sentence_for_each_mistake_in_a_file(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence.replace("?", r"\?")):
        given(config(tmp_path, text))
