"""`python -m trainer.cost`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.errors import PeelVitError
from trainer.cost.__main__ import main

TOY = "vit:image=12,patch=4,dim=12,depth=4,heads=3,mlp=20,classes=5"


@pytest.mark.parametrize("method", ["trilevel", "evit"])
def test_all_presets(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", TOY, "--token-method", method])
    header, _, sources, *rows = capsys.readouterr().out.splitlines()
    assert "stored attention maps" in header
    assert "measured" not in sources
    assert [row.split()[0] for row in rows] == ["dense", "trilevel_0.9", "trilevel_0.8", "trilevel_0.7"]
    assert ("0.9 / 0.7 / 1 " in rows[3]) == (method == "evit")


def test_the_paper_stands_beside(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", "deit_tiny_patch16_224", "--level", "trilevel_0.9"])
    row = capsys.readouterr().out.splitlines()[3]
    assert "1.254 G" in row
    assert row.split()[-4:] == ["17.4", "%", "15.2", "%"]


def test_measured_columns_and_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    main(
        ["--model", TOY, "--token-keep", "0.5", "--attention-keep", "0.5", "--time", "--time-batch-size", "2"]
        + ["--rounds", "2", "--epochs", "3", "--train-images", "64", "--batch-size", "4", "--json", str(path)]
    )
    assert "measured" in capsys.readouterr().out.splitlines()[2]
    content = json.loads(path.read_text())
    (row,) = content["rows"]
    assert row["level"] == "custom"
    assert 0 < row["macs_saved"] < row["macs_saved_final"]
    assert row["macs_saved_computed"] < row["macs_saved"]
    assert row["time_over_macs"] == pytest.approx(row["time_saved_final"] / row["macs_saved_final"])
    ratios = [(step["token_keep"], step["attention_keep"]) for step in content["measured_steps"]]
    assert (len(ratios), ratios[0], ratios[-1]) == (5, (1.0, 1.0), (0.5, 0.5))
    assert content["machine"]["threads"] >= 1


def test_layers_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", TOY, "--level", "trilevel_0.7", "--count", "recompute", "--per-layer"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["blocks.3.attn", "backward", "attention_backward"] for line in lines)
    assert not any(line.split()[:2] == ["patch_embed.proj", "dX"] for line in lines)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--model", "vgg16"], "vgg16"),
        (["--token-keep", "2"], "token keep ratio"),
        (["--xyzzy"], "there is no option --xyzzy; --help lists the options"),
        (["--token-keeps", "1"], "there is no option --token-keeps; did you mean --token-keep"),
        (["--model", TOY, "--time", "--rounds", "0"], "--rounds is 0"),
        (["--token-method", "magic"], "magic"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(PeelVitError, match=sentence):
        main(arguments)
