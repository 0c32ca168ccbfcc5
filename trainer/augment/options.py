"""The augmentation's options, named and meant as timm's where timm has them."""

from __future__ import annotations

from dataclasses import dataclass

from host.errors import PeelVitError

ERASING_MODES = ("const", "rand", "pixel")
MIXING_MODES = ("batch", "pair", "elem")
DOWNSAMPLINGS = ("bicubic", "fourier", "area")
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class AugmentOptions:
    """What is done to a training batch, in this order; `PLAIN` does nothing but normalise.

    padding: random crop of the image padded by so many pixels of zeros (0: none; 4 is usual for 32 pixels).
    hflip, vflip: probability of mirroring left and right, top and bottom.
    aa: RandAugment in timm's spelling, or None; as in timm it switches the colour jitter off.
    interpolation: of RandAugment's geometric operations, 'bilinear' or 'bicubic'.
    color_jitter: brightness, contrast and saturation factors within 1 +- so much.
    downsampling: how a curriculum's smaller images are made, one of `DOWNSAMPLINGS` (`geometry.resized`).
    reprob, remode, recount: probability, filling ('const', 'rand', 'pixel') and boxes of random erasing.
    mixup, cutmix: their Beta distribution's alpha, 0 for off. mixup_prob: probability of mixing at all;
    mixup_switch_prob: of cutmix where both are on; mixup_mode: one draw a batch, a pair or an element.
    """

    padding: int = 0
    hflip: float = 0.5
    vflip: float = 0.0
    aa: str | None = "rand-m9-mstd0.5-inc1"
    interpolation: str = "bicubic"
    color_jitter: float = 0.4
    downsampling: str = "bicubic"
    reprob: float = 0.25
    remode: str = "pixel"
    recount: int = 1
    mixup: float = 0.8
    cutmix: float = 1.0
    mixup_prob: float = 1.0
    mixup_switch_prob: float = 0.5
    mixup_mode: str = "batch"

    def __post_init__(self) -> None:
        for name in ("hflip", "vflip", "reprob", "mixup_prob", "mixup_switch_prob"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise PeelVitError(f"{name} is a probability, so it cannot be {getattr(self, name)}; use 0 to 1")
        for name in ("padding", "color_jitter", "mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise PeelVitError(f"{name} cannot be {getattr(self, name)}; use 0 or more")
        if self.recount < 1:
            raise PeelVitError(f"recount cannot be {self.recount}; use 1 or more, or reprob 0 for no erasing")
        _one_of("remode", self.remode, ERASING_MODES)
        _one_of("mixup_mode", self.mixup_mode, MIXING_MODES)
        _one_of("downsampling", self.downsampling, DOWNSAMPLINGS)
        _one_of("interpolation", self.interpolation, INTERPOLATIONS)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise PeelVitError(f"{name} cannot be {value!r}; use one of {', '.join(choices)}")


PLAIN = AugmentOptions(hflip=0.0, aa=None, color_jitter=0.0, reprob=0.0, mixup=0.0, cutmix=0.0)
"""No augmentation: pixels are normalised and nothing else."""
