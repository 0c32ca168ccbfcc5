"""One step's augmentation: from the data set's bytes to what the model sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.augment.erasing import random_erasing
from trainer.augment.geometry import random_crop, random_flip, resized
from trainer.augment.jitter import color_jitter
from trainer.augment.mixing import Mix, draw_mix, mix_images
from trainer.augment.options import AugmentOptions
from trainer.augment.randaugment import parse, rand_augment
from trainer.curriculum import Stage
from trainer.data.batch import Batch, MixedBatch
from trainer.data.normalise import Normalise, scaled
from trainer.data.randomness import random_state


class Augment:
    """Crop, mirror, RandAugment or colour jitter, resize, normalise, erase, mix: the order of DeiT's recipe.

    `mean` and `std` are per channel on pixels scaled to 0..1; `image_size` is the side of the images made, unless
    a curriculum's stage says another. Everything runs on `device`.
    """

    def __init__(
        self,
        options: AugmentOptions,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int,
        device: torch.device | str,
    ) -> None:
        self.options = options
        self.image_size = image_size
        self.device = torch.device(device)
        self._normalise = Normalise(mean, std, self.device)
        self._policy = parse(options.aa) if options.aa else None

    @torch.no_grad()
    def __call__(self, batch: Batch, seed: int, stage: Stage | None = None) -> MixedBatch:
        """Augment one batch; all randomness is a function of `seed`, and no global generator is touched.

        Numbers that place and steer are drawn on the host, so that they are the same on every device; noise of
        erased pixels comes from a generator of the device, seeded alike. `stage` sets size and RandAugment's magnitude.
        """
        random = random_state(seed)
        noise = torch.Generator(self.device).manual_seed(seed)
        images = scaled(self._placed(batch.images, random))
        images = self._recoloured(images, stage, random)
        images = resized(images, stage.image_size if stage else self.image_size, self.options.downsampling)
        images = self._normalise(images)
        if self.options.reprob:
            images = random_erasing(
                images, self.options.reprob, self.options.remode, self.options.recount, random, noise
            )
        return self._mixed(images, batch, random)

    def _placed(self, images: Tensor, random: np.random.RandomState) -> Tensor:
        options = self.options
        if options.padding:
            images = random_crop(images, options.padding, random)
        if options.hflip:
            images = random_flip(images, options.hflip, -1, random)
        if options.vflip:
            images = random_flip(images, options.vflip, -2, random)
        return images

    def _recoloured(self, images: Tensor, stage: Stage | None, random: np.random.RandomState) -> Tensor:
        if self._policy:
            policy = self._policy.at(stage.randaugment_magnitude) if stage else self._policy
            return rand_augment(images, policy, self._normalise.mean, self.options.interpolation, random)
        if self.options.color_jitter:
            return color_jitter(images, self.options.color_jitter, random)
        return images

    def _mixed(self, images: Tensor, batch: Batch, random: np.random.RandomState) -> MixedBatch:
        if not (self.options.mixup or self.options.cutmix):
            share = torch.ones(len(batch), device=images.device)
            return _with_labels(images, share, batch, batch.labels, batch.indices)
        mix: Mix = draw_mix(self.options, len(batch), images.shape[-2], images.shape[-1], random)
        share = torch.from_numpy(mix.share.astype(np.float32)).to(images.device)
        whole = share == 1.0
        return _with_labels(
            mix_images(images, mix),
            share,
            batch,
            torch.where(whole, batch.labels, batch.labels.flip(0)),
            torch.where(whole, batch.indices, batch.indices.flip(0)),
        )


def _with_labels(images: Tensor, share: Tensor, batch: Batch, others: Tensor, other_indices: Tensor) -> MixedBatch:
    return MixedBatch(images, batch.labels, others, share, batch.indices, other_indices, batch.weights)
