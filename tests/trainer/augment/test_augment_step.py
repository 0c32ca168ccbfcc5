"""One step's augmentation: a function of its seed alone, with labels that say what the image holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from host.errors import PeelVitError
from trainer.augment.augment import Augment
from trainer.augment.options import PLAIN, AugmentOptions
from trainer.augment.targets import soft_targets
from trainer.curriculum import Stage
from trainer.data.batch import Batch, MixedBatch

SIZE = 16
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def _batch(count: int, channels: int = 3, size: int = SIZE, seed: int = 0) -> Batch:
    random = np.random.RandomState(seed)
    images = torch.from_numpy(random.randint(0, 256, (count, channels, size, size)).astype(np.uint8))
    labels = torch.from_numpy(random.randint(0, 5, count).astype(np.int64))
    return Batch(images, labels, torch.from_numpy(random.permutation(1000)[:count].astype(np.int64)))


def _augment(options: AugmentOptions, channels: int = 3) -> Augment:
    return Augment(options, MEAN[:channels], STD[:channels], SIZE, "cpu")


def _same(first: MixedBatch, second: MixedBatch) -> bool:
    return all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("images", "labels", "other_labels", "share", "indices", "other_indices")
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("options", [AugmentOptions(padding=2), AugmentOptions(aa=None, vflip=0.5, recount=3)])
def test_a_step_is_a_function_of_its_seed(options, channels):
    augment, batch = _augment(options, channels), _batch(6, channels)
    before = batch.images.clone()
    first, again, other = (augment(batch, seed) for seed in (7, 7, 8))
    assert first.images.shape == (6, channels, SIZE, SIZE)
    assert first.images.dtype == torch.float32
    assert first.images.isfinite().all()
    assert _same(first, again)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(batch.images, before)


def test_no_global_generator_is_touched():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = _augment(AugmentOptions(padding=2))(_batch(8), 3)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    torch.manual_seed(1)
    np.random.seed(1)
    assert _same(first, _augment(AugmentOptions(padding=2))(_batch(8), 3))


def test_plain_only_normalises():
    batch = _batch(4)
    mixed = _augment(PLAIN)(batch, 1)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(mixed.images, (batch.images / 255 - mean) / std)
    assert torch.equal(mixed.share, torch.ones(4))
    assert torch.equal(mixed.other_labels, batch.labels)
    assert torch.equal(mixed.other_indices, batch.indices)


def test_weights_stay_with_their_slots():
    weights = torch.arange(4.0)
    assert _augment(AugmentOptions())(replace(_batch(4), weights=weights), 1).weights is weights


def _two_brightnesses(count: int) -> Batch:
    """The first half of the slots black, the second white, so that a pixel tells whose it is."""
    images = torch.zeros(count, 3, SIZE, SIZE, dtype=torch.uint8)
    images[count // 2 :] = 255
    return Batch(images, torch.arange(count), torch.arange(count) + 10)


@given(
    st.integers(0, 500),
    st.sampled_from(["batch", "pair", "elem"]),
    st.sampled_from([0.0, 0.8]),
    st.sampled_from([0.0, 1.0]),
)
def test_share_is_the_true_share_of_the_pixels(seed, mode, mixup, cutmix):
    count = 6
    batch = _two_brightnesses(count)
    mixed = _augment(replace(PLAIN, mixup=mixup, cutmix=cutmix, mixup_mode=mode))(batch, seed)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    whiteness = (mixed.images * std + mean).mean((1, 2, 3))
    own = torch.where(torch.arange(count) < count // 2, 1 - whiteness, whiteness)
    torch.testing.assert_close(mixed.share, own, atol=1e-5, rtol=0)
    assert (mixed.share.clamp(0, 1) == mixed.share).all()
    unmixed = mixed.share == 1.0
    assert torch.equal(mixed.other_labels, torch.where(unmixed, batch.labels, batch.labels.flip(0)))
    assert torch.equal(mixed.other_indices, torch.where(unmixed, batch.indices, batch.indices.flip(0)))
    if mode == "batch":
        assert len(mixed.share.unique()) == 1
    if mode == "pair":
        assert torch.equal(mixed.share, mixed.share.flip(0))


def test_an_odd_batch_mixes_its_middle_with_itself():
    mixed = _augment(replace(PLAIN, mixup=0.8))(_batch(5), 2)
    assert mixed.other_indices[2] == mixed.indices[2]
    plain = _augment(PLAIN)(_batch(5), 2)
    torch.testing.assert_close(mixed.images[2], plain.images[2])


def test_mixing_obeys_its_probabilities():
    def shares(**options: float) -> torch.Tensor:
        augment = _augment(replace(PLAIN, mixup=0.8, mixup_mode="elem", **options))
        return augment(_batch(400, size=2), 1).share

    assert (shares(mixup_prob=0.0) == 1).all()
    assert 0.35 < (shares(mixup_prob=0.5) == 1).float().mean() < 0.65
    assert 0.42 < shares().mean() < 0.58
    only_cut = shares(cutmix=1.0, mixup_switch_prob=1.0) * 4 * SIZE * SIZE / 4
    torch.testing.assert_close(only_cut, only_cut.round())


def _target_of_timm(batch: MixedBatch, classes: int, smoothing: float) -> torch.Tensor:
    """The definition, term by term: smoothed one-hot vectors blended by the share."""
    off = smoothing / classes
    on = 1.0 - smoothing + off
    first, second = (
        torch.full((len(batch), classes), off).scatter_(1, labels[:, None], on)
        for labels in (batch.labels, batch.other_labels)
    )
    return first * batch.share[:, None] + second * (1.0 - batch.share[:, None])


@given(st.integers(0, 50), st.sampled_from([0.0, 0.1]))
def test_soft_targets_are_those_of_timm(seed, smoothing):
    mixed = _augment(replace(PLAIN, mixup=0.8, mixup_mode="elem"))(_batch(6, seed=seed), seed)
    targets = soft_targets(mixed, 7, smoothing)
    torch.testing.assert_close(targets, _target_of_timm(mixed, 7, smoothing))
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
def test_random_erasing_fills_boxes_of_some_images(mode):
    batch = _batch(64)
    plain = _augment(PLAIN)(batch, 5).images
    erased = _augment(replace(PLAIN, reprob=0.5, remode=mode))(batch, 5).images
    changed = (plain != erased).any(1)
    some = changed.flatten(1).any(1)
    assert 16 < some.sum() < 48
    for image in range(64):
        if some[image]:
            area = changed[image].float().mean()
            rows, columns = changed[image].any(1), changed[image].any(0)
            assert area == (rows[:, None] & columns).float().mean()  # a full box
            assert 0.005 < area < 0.4
            box = erased[image][:, changed[image]]
            if mode != "pixel":
                assert torch.equal(box, box[:, :1].expand_as(box))
            assert mode != "const" or not box.any()


def test_random_crop_shifts_and_flip_mirrors():
    batch = _batch(40)
    images = _augment(replace(PLAIN, padding=2))(batch, 3).images
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    padded = torch.nn.functional.pad(batch.images, (2, 2, 2, 2))
    windows = {
        (top, left): (padded[:, :, top : top + SIZE, left : left + SIZE] / 255 - mean) / std
        for top in range(5)
        for left in range(5)
    }
    found = [[place for place, window in windows.items() if torch.allclose(window[i], images[i])] for i in range(40)]
    assert all(len(places) == 1 for places in found)
    assert len({places[0] for places in found}) > 8
    flipped = _augment(replace(PLAIN, hflip=0.5))(batch, 3).images
    plain = _augment(PLAIN)(batch, 3).images
    mirrored = [torch.equal(flipped[i], plain[i].flip(-1)) for i in range(40)]
    assert all(mirrored[i] or torch.equal(flipped[i], plain[i]) for i in range(40))
    assert 10 < sum(mirrored) < 30


@pytest.mark.parametrize("method", ["bicubic", "fourier", "area"])
def test_a_stage_makes_smaller_images_of_the_same_brightness(method):
    smooth = torch.linspace(40, 200, SIZE).expand(2, 3, SIZE, SIZE).to(torch.uint8)
    batch = Batch(smooth, torch.tensor([0, 1]), torch.tensor([0, 1]))
    options = replace(PLAIN, downsampling=method)
    small = _augment(options)(batch, 1, Stage(8, 0.0)).images
    whole = _augment(options)(batch, 1).images
    assert small.shape == (2, 3, 8, 8)
    torch.testing.assert_close(small.mean((2, 3)), whole.mean((2, 3)), atol=0.02, rtol=0)


def test_a_stage_sets_the_magnitude_of_randaugment():
    options = replace(PLAIN, aa="rand-m9-n2-p1-inc1")
    batch = _batch(60)
    plain = _augment(PLAIN)(batch, 1).images
    difference = [
        (_augment(options)(batch, 1, Stage(SIZE, magnitude)).images - plain).abs().mean() for magnitude in (0.0, 9.0)
    ]
    assert difference[0] < difference[1]


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"reprob": 1.5}, "reprob is a probability"),
        ({"mixup": -1.0}, "mixup cannot be"),
        ({"remode": "noise"}, "remode cannot be 'noise'; use one of const, rand, pixel"),
        ({"mixup_mode": "half"}, "mixup_mode cannot be"),
        ({"recount": 0}, "recount cannot be 0"),
        ({"downsampling": "lanczos"}, "downsampling cannot be"),
    ],
)
def test_impossible_options_are_one_sentence(options, sentence):
    with pytest.raises(PeelVitError, match=sentence):
        AugmentOptions(**options)
