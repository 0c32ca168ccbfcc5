from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.data.folder import ImageFolder
from host.data.pictures import center_crop
from host.errors import PeelVitError


@pytest.mark.parametrize("split, labels", [("train", [0, 0, 1, 1]), ("test", [0, 1])])
def test_reads_pictures_with_the_labels_of_their_folders(picture_folder: Path, split: str, labels: list[int]):
    dataset = ImageFolder(picture_folder, split, 16)
    assert dataset.labels.tolist() == labels
    assert dataset.classes == ("cat", "dog")
    images = dataset.read(np.arange(len(labels))[::-1])
    assert images.shape == (len(labels), 16, 16, 3)
    assert (images[0] == (0, 0, 200)).all()
    assert (images[-1] == (200, 0, 0)).all()


def test_other_files_hidden_files_and_nested_folders(picture_folder: Path):
    cat = picture_folder / "train" / "cat"
    (cat / "notes.txt").write_text("no picture")
    (cat / ".0.png").write_text("left by another system")
    (picture_folder / "train" / ".cache").mkdir()
    (cat / "more").mkdir()
    Image.new("L", (9, 9), 7).save(cat / "more" / "grey.JPG", "PNG")
    dataset = ImageFolder(picture_folder, "train", 9)
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1]
    assert (dataset.read(np.array([2])) == 7).all()


@pytest.mark.parametrize("width, height, size", [(40, 30, 16), (7, 31, 16), (16, 16, 16), (1, 50, 8), (300, 200, 1)])
@pytest.mark.parametrize("crop", [1.0, 0.9, 0.5])
def test_center_crop_always_gives_the_size(width: int, height: int, size: int, crop: float):
    assert center_crop(Image.new("RGB", (width, height)), size, crop).size == (size, size)


def test_center_crop_takes_the_centre():
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, 16:48] = 255
    assert (np.asarray(center_crop(Image.fromarray(picture), 32, 1.0)) == 255).all()


def flatten(root: Path, split: str) -> None:
    for number, picture in enumerate((root / split).rglob("*.png")):
        picture.rename(root / split / f"{number}.png")


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lambda root: shutil.rmtree(root), "there is no folder"),
        (lambda root: shutil.rmtree(root / "val"), r"has no val/ folder \(it holds train/\)"),
        (lambda root: (root / "val").rename(root / "test"), r"has no val/ folder \(it holds test/, train/\)"),
        (lambda root: (root / "train").rename(root / "cat"), r"has no train/ folder \(it holds cat/, val/\)"),
        (lambda root: flatten(root, "val"), r"val holds pictures directly \(0.png, 1.png\)"),
        (lambda root: flatten(root, "train"), r"train holds pictures directly \(0.png, 1.png, 2.png and 1 more\)"),
        (lambda root: empty(root / "val"), "val is empty"),
        (lambda root: shutil.rmtree(root / "val/cat"), "only train/ has cat and only val/ has nothing"),
        (lambda root: (root / "val/cat").rename(root / "val/cats"), "only train/ has cat and only val/ has cats"),
    ],
)
def test_wrong_layout_is_explained_for_either_split(picture_folder: Path, split: str, spoil, sentence: str):
    spoil(picture_folder)
    with pytest.raises(PeelVitError, match=sentence):
        ImageFolder(picture_folder, split, 16)


def test_class_without_pictures_is_named(picture_folder: Path):
    empty(picture_folder / "train" / "dog")
    with pytest.raises(PeelVitError, match="train/dog holds no pictures"):
        ImageFolder(picture_folder, "train", 16)


@pytest.mark.parametrize("keep", [0, 20, 60])
def test_unreadable_picture_is_named_when_it_is_read(picture_folder: Path, keep: int):
    path = picture_folder / "train" / "cat" / "1.png"
    path.write_bytes(path.read_bytes()[:keep])
    dataset = ImageFolder(picture_folder, "train", 16)
    dataset.read(np.array([0]))
    with pytest.raises(PeelVitError, match=f"{path} cannot be read as a picture"):
        dataset.read(np.array([0, 1]))
