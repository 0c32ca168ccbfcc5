"""The estimate of a configuration: the interface is counted, what does not fit is refused with one sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hls.area.__main__ import main
from hls.area.estimate import Estimate, Row, margins, of_kernel, require_fit
from hls.spec.config import ConfigError, load
from hls.spec.devices import DEVICES, Resources, device_of

TOP = """
#include <ap_int.h>
void top(const ap_uint<128>* mem, int count, int* out) {
#pragma HLS interface mode=m_axi port=mem bundle=gmem max_read_burst_length=16 num_read_outstanding=16
#pragma HLS interface mode=s_axilite port=count bundle=control
#pragma HLS interface mode=s_axilite port=out bundle=control
    int sum = 0;
    for (int i = 0; i < count; ++i) {
#pragma HLS pipeline II=1
        sum += int(mem[i]);
    }
    *out = sum;
}
"""


def made_of(part: str = "xczu9eg-ffvb1156-2-e", **counts: float) -> Estimate:
    total = Resources(**counts)
    return Estimate("test", part, [Row(0, "top", total, total)], [])


def test_interface_adapters_are_part_of_the_total(tmp_path: Path) -> None:
    source = tmp_path / "top.cpp"
    source.write_text(TOP)
    result = of_kernel(source, "top", load("toy"))
    assert [row.name for row in result.rows] == ["top", "m_axi adapter", "AXI-Lite registers"]
    adapter = result.rows[1].total
    assert adapter.bram36 == 4  # 256 words of 130 bits, twice
    assert result.total.lut == result.rows[0].own.lut + adapter.lut + result.rows[2].total.lut


@pytest.mark.parametrize(
    "counts, resource",
    [
        ({"dsp": 2521}, "2,521 DSP slices and may take 2,520"),
        ({"bram36": 913}, "913 BRAM36 and may take 912"),
        ({"lut": 219_265}, "LUTs and may take 219,264"),
        ({"dsp": 3000, "lut": 500_000}, "500,000 LUTs"),  # the worst one is named
    ],
)
def test_what_does_not_fit_is_named(counts: dict[str, float], resource: str) -> None:
    with pytest.raises(ConfigError, match=resource):
        require_fit(made_of(**counts))


def test_what_fits_passes() -> None:
    require_fit(made_of(dsp=2520, bram36=912, lut=219_264, ff=438_528))


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="xc7z020"):
        margins(made_of("xc7z020-clg400-1"))


@pytest.mark.parametrize("name", DEVICES)
def test_devices_are_found_by_part(name: str) -> None:
    assert device_of(f"{name}-any-2-e") is DEVICES[name]


def test_command_prints_assumptions_and_reports_an_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--assumptions"]) == 0
    assert "clock_uncertainty" in capsys.readouterr().out
    assert main(["no_such"]) == 2
    assert "there is no hardware configuration no_such" in capsys.readouterr().err


def test_resources_add_and_scale() -> None:
    assert Resources(1, 0.5, 10, 20) + Resources(1, 1, 1, 1) * 2 == Resources(3, 2.5, 12, 22)
    assert dataclasses.asdict(Resources()) == {"dsp": 0, "bram36": 0, "lut": 0, "ff": 0, "uram": 0}


def test_uram_counts_where_the_device_has_it() -> None:
    assert "uram" not in margins(made_of(dsp=1))
    small = "xczu7ev-ffvc1156-2-e"
    assert margins(made_of(small, uram=90))["uram"] == (90, 96)
    with pytest.raises(ConfigError, match="97 URAM and may take 96 of xczu7ev"):
        require_fit(made_of(small, uram=97))
    with pytest.raises(ConfigError, match="2 URAM and may take 0 of xczu9eg"):
        require_fit(made_of(uram=2))
