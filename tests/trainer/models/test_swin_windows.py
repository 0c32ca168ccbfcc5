"""Windows on grids of every size: each token is in one slot, and the shift does not wrap the image around."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.models.swin_windows import OTHER_REGION, Partition, relative_positions

PARTITIONS = st.builds(
    lambda height, width, window, shifts: Partition(height, width, window, window // 2 if shifts else 0),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(2, 5),
    st.booleans(),
)


@given(PARTITIONS)
def test_join_undoes_split(partition: Partition) -> None:
    x = torch.randn(2, partition.height, partition.width, 3)
    windows = partition.split(x)
    assert windows.shape == (2, partition.rows * partition.columns, partition.slots, 3)
    assert torch.equal(partition.join(windows), x)


@given(PARTITIONS)
def test_every_token_has_one_slot_and_the_rest_is_padding(partition: Partition) -> None:
    cells = partition.cells()
    assert sorted(cells[cells < partition.tokens].tolist()) == list(range(partition.tokens))
    assert (cells == partition.tokens).any() == partition.is_padded
    x = torch.randn(1, partition.height, partition.width, 1)
    table = torch.cat([x.flatten(), torch.zeros(1)])
    assert torch.equal(table[cells], partition.split(x)[0, :, :, 0])


@given(PARTITIONS, st.data())
def test_computed_tokens_are_counted_window_by_window(partition: Partition, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, partition.slots))
    real = (partition.cells() < partition.tokens).sum(dim=1)
    assert partition.computed(count) == real.clamp_max(count).sum()


@pytest.mark.parametrize("grid, window", [(8, 4), (9, 3), (14, 7), (6, 2)])
def test_tokens_that_only_the_shift_brought_together_do_not_meet(grid: int, window: int) -> None:
    partition = Partition(grid, grid, window, window // 2)
    cells, mask = partition.cells(), partition.region_mask()
    wrapped_row, wrapped_column = cells // grid < partition.shift, cells % grid < partition.shift
    region = 2 * wrapped_row + wrapped_column
    assert torch.equal(mask, OTHER_REGION * (region[:, :, None] != region[:, None, :]))


@pytest.mark.parametrize("window", [1, 2, 4])
def test_relative_positions_are_offsets_of_rows_and_columns(window: int) -> None:
    table = relative_positions(window)
    for query in range(window**2):
        for key in range(window**2):
            down, right = query // window - key // window, query % window - key % window
            assert table[query, key] == (down + window - 1) * (2 * window - 1) + right + window - 1
