"""Every kind of data set by its name, and the sentence that each mistake gets."""

from __future__ import annotations

import json
import pickle
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest

from host.errors import PeelVitError
from trainer.data.datasets import open_dataset
from trainer.data.loader import TrainLoader


def _refused(match: str, *arguments, **options) -> None:
    with pytest.raises(PeelVitError, match=match) as error:
        open_dataset(*arguments, **options)
    assert "\n" not in str(error.value)


def test_built_in_sets_keep_their_pixels(tmp_path):
    pytest.importorskip("sklearn")
    dataset = open_dataset("digits", "train", data_dir=tmp_path, report=lambda line: None)
    assert (len(dataset), dataset.image_size, dataset.channels, dataset.fixed) == (1437, 8, 1, True)
    assert not dataset.mirrors
    assert dataset.read(np.array([0, 5])).shape == (2, 8, 8, 1)
    larger = open_dataset("digits", "val", 12, data_dir=tmp_path, report=lambda line: None)
    assert larger.read(np.array([3])).shape == (1, 12, 12, 1)


def test_nothing_is_fetched_unasked(tmp_path):
    _refused("python -m host.data fetch cifar10", "cifar10", "train", data_dir=tmp_path)
    _refused("ask for the download from the Hugging Face hub", "cifar100", "train", data_dir=tmp_path)


def test_folder_and_its_prefix(picture_folder):
    for name in (str(picture_folder), f"folder:{picture_folder}"):
        dataset = open_dataset(name, "train", 8)
        assert dataset.classes == ("cat", "dog")
        assert dataset.labels.tolist() == [0] * 4 + [1] * 4
        assert dataset.read(np.array([0, 7])).shape == (2, 8, 8, 3)
    assert len(open_dataset(str(picture_folder), "val", 8)) == 2


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()


@pytest.mark.parametrize(
    "fault, sentence",
    [
        ("flat val", "val holds pictures directly"),
        ("no train", "has no train/ folder"),
        ("class missing in val", "train/ and val/ must hold the same class folders"),
        ("no pictures", "holds no pictures"),
        ("file", "is a file, not a folder"),
        ("shard", "write wds/FOLDER"),
        ("nothing", "is neither a folder nor a known data set"),
    ],
)
def test_a_wrong_layout_is_one_sentence(picture_folder, fault, sentence):
    name = picture_folder
    if fault == "flat val":
        (picture_folder / "val" / "0.png").write_bytes(b"")
    elif fault == "no train":
        _remove(picture_folder / "train")
    elif fault == "class missing in val":
        _remove(picture_folder / "val" / "dog")
    elif fault == "no pictures":
        _remove(picture_folder / "train" / "dog")
        (picture_folder / "train" / "dog").mkdir()
    elif fault == "file":
        name = picture_folder / "val" / "dog" / "0.png"
    elif fault == "shard":
        name = picture_folder / "train-000.tar"
        name.write_bytes(b"")
    else:
        name = picture_folder / "absent"
    _refused(sentence, str(name), "train", 8)


def test_splits_and_sizes_are_checked(picture_folder):
    _refused("there is no split 'dev'", str(picture_folder), "dev")
    _refused("an image size of 0", str(picture_folder), "train", 0)


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_from_its_original_files(tmp_path, packed):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    images = np.random.RandomState(0).randint(0, 256, (5, 3072)).astype(np.uint8)
    content = {b"data": images, b"fine_labels": [0, 99, 5, 7, 1], b"coarse_labels": [0] * 5}
    names = {b"fine_label_names": [f"class{number}".encode() for number in range(100)]}
    for name, value in (("train", content), ("test", content), ("meta", names)):
        (folder / name).write_bytes(pickle.dumps(value, protocol=3))  # Python 2's form is tested with the host
    if packed:
        with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
            archive.add(folder, "cifar-100-python")
        _remove(folder)
    dataset = open_dataset("cifar100", "val", data_dir=tmp_path)
    assert (len(dataset), len(dataset.classes), dataset.classes[99]) == (5, 100, "class99")
    assert dataset.labels.tolist() == [0, 99, 5, 7, 1]
    assert np.array_equal(dataset.read(np.array([2]))[0], images[2].reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_cifar100_pickle_with_code_is_not_run(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(print))
    _refused("damaged or not what its name says", "cifar100", "train", data_dir=tmp_path)


@pytest.mark.parametrize("words, count, classes", [("", 1024, 1000), (":classes=10,examples=32", 32, 10)])
def test_synthetic_images_are_the_same_every_time(words, count, classes):
    first, second = (open_dataset(f"synthetic{words}", "train", 16) for _ in range(2))
    assert (len(first), len(first.classes), first.fixed) == (count, classes, True)
    some = np.array([0, count - 1])
    assert np.array_equal(first.read(some), second.read(some))
    assert not np.array_equal(first.read(some)[0], first.read(some)[1])


def test_synthetic_words_are_checked():
    _refused("is not understood", "synthetic:classes=ten", "train", 16)
    _refused("is not understood", "synthetic:colours=3", "train", 16)


def test_imagenet_v2_sorts_its_folders_as_numbers(tmp_path, encoded_picture):
    for number in (0, 2, 10, 999):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.png").write_bytes(encoded_picture(number % 50))
    dataset = open_dataset(f"imagenet_v2:{tmp_path}", "val", 8)
    assert dataset.labels.tolist() == [0, 2, 10, 999]
    assert len(dataset.classes) == 1000
    assert "/2/a.png" in dataset.where(1)
    _refused("for evaluation only", f"imagenet_v2:{tmp_path}", "train", 8)


def test_imagenet_v2_needs_numbered_folders(tmp_path):
    _refused("has none", f"imagenet_v2:{tmp_path}", "val", 8)
    (tmp_path / "1000").mkdir()
    _refused("a folder 1000", f"imagenet_v2:{tmp_path}", "val", 8)


def test_imagenet_real_takes_any_listed_label_and_leaves_out_pictures_without(tmp_path, encoded_picture):
    folder = tmp_path / "val" / "n01440764"
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        (folder / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(encoded_picture(number, "JPEG"))
    _refused("there is no .*real.json", f"imagenet_real:{tmp_path}", "val", 8)
    (tmp_path / "real.json").write_text(json.dumps([[5, 7], [], [9]]))
    dataset = open_dataset(f"imagenet_real:{tmp_path}", "val", 8)
    assert dataset.labels.tolist() == [[5, 7], [9, -1]]
    assert dataset.read(np.array([0, 1])).shape == (2, 8, 8, 3)
    (tmp_path / "real.json").write_text("{")
    _refused("is not a list of label lists", f"imagenet_real:{tmp_path}", "val", 8)


def _write_shards(folder: Path, name: str, numbers: list[int], encoded_picture, label: str = "cls") -> None:
    """One shard as the library itself writes it."""
    webdataset = pytest.importorskip("webdataset")
    folder.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(folder / name)) as shard:
        for number in numbers:
            content = number if label == "cls" else {"label": number}
            shard.write({"__key__": f"sample{number:04d}", "png": encoded_picture(number), label: content})


@pytest.fixture
def shard_folder(tmp_path, encoded_picture) -> Path:
    root = tmp_path / "shards"
    _write_shards(root, "toy-train-000000.tar", [0, 1, 2], encoded_picture)
    _write_shards(root, "toy-train-000001.tar", [3, 4], encoded_picture, "json")
    _write_shards(root, "toy-val-000000.tar", [5], encoded_picture)
    return root


def test_shards_are_read_by_any_index(shard_folder, tmp_path, encoded_picture, toy_plan):
    lines: list[str] = []
    dataset = open_dataset(f"wds/{shard_folder}", "train", 8, data_dir=tmp_path, report=lines.append)
    assert dataset.labels.tolist() == [0, 1, 2, 3, 4]
    assert len(dataset.classes) == 6  # the largest label is in the other split
    assert [dataset.bytes_of(index) for index in (4, 0, 2)] == [encoded_picture(number) for number in (4, 0, 2)]
    loader = TrainLoader(dataset, 2)
    batches = list(loader.epoch(toy_plan(np.array([3, 1, 4, 0])), 0))
    assert [batch.labels.tolist() for batch in batches] == [[3, 1], [4, 0]]
    assert len(lines) == 2


def test_shards_are_indexed_once_and_again_when_changed(shard_folder, tmp_path, encoded_picture):
    lines: list[str] = []
    for _ in range(2):
        open_dataset(f"wds/{shard_folder}", "train", 8, data_dir=tmp_path, report=lines.append)
    assert len(lines) == 2
    _write_shards(shard_folder, "toy-train-000001.tar", [3, 4, 5], encoded_picture)
    assert len(open_dataset(f"wds/{shard_folder}", "train", 8, data_dir=tmp_path, report=lines.append)) == 6


def test_an_index_that_cannot_be_kept_is_made_again(shard_folder, tmp_path):
    (tmp_path / "index").write_text("a file in its place")
    for _ in range(2):
        lines: list[str] = []
        dataset = open_dataset(f"wds/{shard_folder}", "train", 8, data_dir=tmp_path, report=lines.append)
        assert len(dataset) == 5
        assert "the next run makes it again" in lines[-1]


def test_wrong_shards_are_one_sentence(shard_folder, tmp_path):
    quiet = {"data_dir": tmp_path, "report": lambda line: None}
    (shard_folder / "toy-val-000000.tar").unlink()
    _refused("holds no tar shards for val", f"wds/{shard_folder}", "val", 8, **quiet)
    (shard_folder / "toy-train-000001.tar").write_bytes(b"not a tar file" * 100)
    _refused("000001.tar is damaged", f"wds/{shard_folder}", "train", 8, **quiet)
    with tarfile.open(shard_folder / "toy-train-000001.tar", "w") as archive:
        archive.add(__file__, "sample9.png")
    _refused("sample9 lacks its picture or its label", f"wds/{shard_folder}", "train", 8, **quiet)
    _refused("there is no folder", "wds/absent", "train", 8, **quiet)


class _Table:
    """STAND-IN for `datasets.Dataset`: only what the trainer calls, answered as datasets 5.2.0 was seen to answer."""

    def __init__(self, features: dict, rows: list[dict]) -> None:
        self.features, self._rows = features, rows

    def __getitem__(self, key):
        return [row[key] for row in self._rows] if isinstance(key, str) else self._rows[key]

    def cast_column(self, name: str, feature) -> _Table:
        assert feature.decode is False
        return _Table(self.features | {name: feature}, self._rows)


class _Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class _ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


@pytest.fixture
def hub(monkeypatch, encoded_picture) -> types.SimpleNamespace:
    """STAND-IN for the package datasets, which these machines do not have; the hub holds `org/pets`."""
    features = {"image": _Image(), "label": _ClassLabel(["cat", "dog"])}
    rows = [{"image": {"bytes": encoded_picture(number), "path": None}, "label": number % 2} for number in range(4)]
    content = {"train": _Table(features, rows), "validation": _Table(features, rows[:2])}
    library = types.SimpleNamespace(Image=_Image, ClassLabel=_ClassLabel, config=types.SimpleNamespace())
    library.config.HF_HUB_OFFLINE = False

    def load_dataset(name, cache_dir=None):
        if library.config.HF_HUB_OFFLINE and not library.cached:
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub (OfflineModeIsEnabled)")
        return {"org/pets": content}[name]

    library.cached = False
    library.load_dataset = load_dataset
    library.load_from_disk = lambda path: content
    monkeypatch.setitem(sys.modules, "datasets", library)
    return library


def test_hub_is_asked_only_with_download(hub):
    _refused("is not in the Hugging Face cache; ask for the download", "hfds/org/pets", "train", 8)
    dataset = open_dataset("hfds/org/pets", "train", 8, download=True)
    assert (dataset.classes, dataset.labels.tolist()) == (("cat", "dog"), [0, 1, 0, 1])
    assert dataset.read(np.array([3])).shape == (1, 8, 8, 3)
    assert not hub.config.HF_HUB_OFFLINE
    hub.cached = True
    assert len(open_dataset("hfds/org/pets", "val", 8)) == 2


def test_hub_folder_of_save_to_disk(hub, tmp_path):
    assert len(open_dataset(f"hfds/{tmp_path}", "train", 8)) == 4


def test_hub_mistakes_are_one_sentence(hub, tmp_path, monkeypatch):
    _refused("cannot be fetched", "hfds/org/unknown", "train", 8, download=True)
    monkeypatch.setattr(hub, "load_from_disk", lambda path: {"dev": None})
    _refused("has the splits dev", f"hfds/{tmp_path}", "train", 8)
    monkeypatch.setattr(hub, "load_from_disk", lambda path: _Table({"text": None}, []))
    _refused("no picture with a class label", f"hfds/{tmp_path}", "train", 8)
    monkeypatch.setitem(sys.modules, "datasets", None)
    _refused("pip install datasets", "hfds/org/pets", "train", 8)


def test_shards_need_their_library(shard_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    _refused("pip install webdataset", f"wds/{shard_folder}", "train", 8, data_dir=tmp_path, report=lambda line: None)
