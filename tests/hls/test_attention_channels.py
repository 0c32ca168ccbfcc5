"""What attention's passes count on: the channels between load and store hold `kLead` blocks together, no more.

A process begins a block when the one behind it has ended the block that lay in the same place of their channel. So load
begins block i when store has ended block i less the sum of the depths on the way.
"""

from __future__ import annotations

import re

import pytest

from hls.render import sources
from hls.spec.config import SHIPPED, load

WAY = ("loaded0", "weights", "products", "term", "rows0")
"""Channels of probabilities from load over spread, multiply, terms and values to store."""
DOUBLE_BUFFER = 2


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_pass_reads_has_been_stored(name: str) -> None:
    files = sources(load(name))
    region, job = files["attention/unit.hpp"], files["attention/job.hpp"]
    stated = dict(re.findall(r"stream variable ?= ?(\w+) type ?= ?pipo depth ?= ?(\d+)", region))
    for channel in WAY:
        assert re.search(rf"\b{channel}\b", region), channel
    depths = [int(stated.get(channel, DOUBLE_BUFFER)) for channel in WAY]
    assert f"kLead = {sum(depths)};" in job
