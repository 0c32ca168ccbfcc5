"""The clock registers of the processing system: PLLs, and the four clocks of the fabric divided from them."""

from __future__ import annotations

from dataclasses import dataclass

CRL_APB, CRF_APB = 0xFF5E_0000, 0xFD1A_0000
REFERENCE_MHZ = 33.333
"""Of the ZCU102's PSS_REF_CLK, with the digits that PYNQ takes for it."""

IOPLL_FEEDBACK, IOPLL_HALVED = 90, True
"""1,500 MHz."""

_IOPLL_CTRL, _RPLL_CTRL, _DPLL_CTRL = CRL_APB + 0x20, CRL_APB + 0x30, CRF_APB + 0x2C
_PL_CTRL = tuple(CRL_APB + 0xC0 + 4 * index for index in range(4))
_SOURCES = {0: _IOPLL_CTRL, 2: _RPLL_CTRL, 3: _DPLL_CTRL}
_ACTIVE = 1 << 24


@dataclass(frozen=True)
class Pll:
    """A PLL: multiple of the reference clock, halved or not."""

    feedback: int
    halved: bool

    @property
    def mhz(self) -> float:
        """Frequency of its output."""
        return REFERENCE_MHZ * self.feedback / (2 if self.halved else 1)

    @property
    def register(self) -> int:
        """Its control register."""
        return self.feedback << 8 | int(self.halved) << 16


def frequency(pll: Pll, first: int, second: int) -> float:
    """MHz of a clock divided twice; 0 when a divisor is 0."""
    return pll.mhz / (first * second) if first * second else 0.0


def divisors(mhz: float) -> tuple[int, int]:
    """The 6-bit divisors of the IO PLL for the fastest clock of at most `mhz` (and of a quarter per mille more)."""
    pll = Pll(IOPLL_FEEDBACK, IOPLL_HALVED)
    pairs = [(first, second) for second in range(1, 64) for first in range(1, 64)]
    legal = [pair for pair in pairs if frequency(pll, *pair) <= mhz * 1.00025]
    return max(legal, key=lambda pair: frequency(pll, *pair))


class Clocks:
    """The registers. With `locked`, writes to the dividers of the fabric's clocks are lost."""

    def __init__(self, locked: bool = False) -> None:
        self._locked = locked
        halved = Pll(IOPLL_FEEDBACK, IOPLL_HALVED)
        self.words = {
            _IOPLL_CTRL: halved.register,
            _RPLL_CTRL: Pll(70, True).register,
            _DPLL_CTRL: Pll(64, True).register,
            CRF_APB + 0x20: Pll(72, True).register,  # APLL
            CRF_APB + 0x38: Pll(64, True).register,  # VPLL
            CRF_APB + 0x60: 1 << 8,  # ACPU_CTRL: APLL / 1
        }
        boot = 5 if locked else 15  # 300 or 100 MHz
        for address in _PL_CTRL:
            self.words[address] = _ACTIVE | 1 << 16 | boot << 8

    def read(self, address: int) -> int:
        """The register at `address`; registers that are not modelled read 0."""
        return self.words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """Set the register at `address`."""
        if not (self._locked and address in _PL_CTRL):
            self.words[address] = value

    def fabric_mhz(self, index: int = 0) -> float:
        """What clock `index` of the fabric really runs at."""
        word = self.words[_PL_CTRL[index]]
        source = self.words[_SOURCES.get(word & 7, _IOPLL_CTRL)]
        pll = Pll(source >> 8 & 0x7F, bool(source >> 16 & 1))
        return frequency(pll, word >> 8 & 0x3F, word >> 16 & 0x3F)
