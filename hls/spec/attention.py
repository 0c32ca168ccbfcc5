"""Sizes of the attention unit that no configuration changes. A block is what its processes exchange: some queries."""

from __future__ import annotations

GROUPS = 2
"""Queries of a block in each lane."""
LEAD_BLOCKS = 7
"""Blocks of rows, of keys or values of the next head, that one block brings at most."""
LEAST_BLOCKS = 13
"""Of a pass: as many as the channels between load and store hold, so that no pass reads before another has stored."""
