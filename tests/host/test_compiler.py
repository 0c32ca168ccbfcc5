from __future__ import annotations

import struct
from collections import Counter
from dataclasses import replace
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hls.spec.config import load
from hls.spec.formats import WORD_BYTES
from hls.spec.instruction import INSTRUCTION_BYTES, checksum, decode
from hls.spec.legality import words_per_row
from hls.spec.ops import Access
from hls.spec.pieces import pieces
from host.compiler import compile_exponent_update, compile_program
from host.errors import PeelVitError
from host.layout import plan_layout
from host.model import PRESETS, Sparsity, ViTConfig
from host.parameters import device_parameters
from host.tensors import Group, Use

ZCU102, TOY = load("zcu102"), load("toy")
SMALL = ViTConfig("small", 8, 2, 3, 24, 4, 3, 40, 7)
TINY = PRESETS["deit_tiny_patch16_224"]
BOTH = Sparsity(0.7, 0.5, (2, 4))


def compiled(model=SMALL, sparsity=BOTH, batch=2, config=ZCU102, trace=False, **options):
    plan = sparsity.plan(model)
    layout = plan_layout(config, model, Use(batch, selectors=plan.selectors, trace=trace))
    return layout, compile_program(layout, plan, **options)


def ops_of(program):
    return Counter(instruction.op.name for instruction in program.instructions)


def named(program, name):
    return program.instructions[program.names.index(name)]


ODD_MODELS = st.builds(
    lambda edge, patch, channels, head_dim, depth, heads, hidden, classes: ViTConfig(
        "odd", edge * patch, patch, channels, head_dim * heads, depth, heads, hidden, classes
    ),
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(1, 20), st.integers(1, 4),
    st.integers(1, 4), st.integers(1, 50), st.integers(2, 30),
)  # fmt: skip


@settings(max_examples=40)
@given(
    ODD_MODELS, st.integers(1, 5), st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.sampled_from([(), (2,), (2, 3, 4)])
)
def test_every_instruction_of_odd_models_is_legal(model, batch, tokens, attention, places):
    sparsity = Sparsity(tokens, attention, places)
    for mode in ("train", "eval", "forward"):
        update = 16 if mode == "train" else None
        layout, program = compiled(model, sparsity, batch, mode=mode, update_images=update, accumulate=mode == "train")
        assert len(program.names) == len(program.instructions)
        assert len(program.data) <= layout.programs.words * WORD_BYTES / 4
    if model.patches > 1:
        compiled(model, sparsity, batch, mode="forward", all_tokens=True, trace=True)


@pytest.mark.parametrize("name, batch", [("deit_tiny_patch16_224", 16), ("deit_small_patch16_224", 4)])
@pytest.mark.parametrize("keep", [1.0, 0.9, 0.8, 0.7])
def test_deit_compiles_for_the_board(name, batch, keep):
    layout, program = compiled(PRESETS[name], Sparsity(keep, keep), batch, update_images=batch)
    assert len(program.data) * 4 <= layout.programs.words * WORD_BYTES
    updating = [i for i in program.instructions if i.op.name == "sgd_update" or "UPDATE" in i.flags]
    firsts = [i.operand("weight") for i in updating if "LATER_PART" not in i.flags]
    assert len(firsts) == len({place.address for place in firsts}) == len(device_parameters(PRESETS[name]))


def test_the_bytes_are_a_header_the_instructions_and_an_end():
    layout, program = compiled()
    header = struct.unpack("<9I", program.data[:36])
    body = program.data[INSTRUCTION_BYTES:]
    assert header[2] == len(program.instructions) + 1
    assert header[3] | header[4] << 32 == ZCU102.hash
    assert header[5] | header[6] << 32 == checksum(body)
    assert header[7:] == (layout.training_slots.address, layout.slots.count)
    decoded = [decode(body[i : i + INSTRUCTION_BYTES]) for i in range(0, len(body), INSTRUCTION_BYTES)]
    assert decoded[-1].op.name == "end"
    assert tuple(i.op for i in decoded[:-1]) == tuple(i.op for i in program.instructions)


def test_the_last_block_computes_class_rows_only_behind_its_attention():
    _, program = compiled()
    assert named(program, "blocks.3.attn forward").dimensions["queries"] == 1
    assert named(program, "blocks.3.attn.qkv forward").dimensions["rows"] > 2
    for name in ("attn.proj forward", "norm2 forward", "mlp.fc1 forward", "mlp.fc2 dX", "norm2 backward"):
        assert named(program, f"blocks.3.{name}").dimensions["rows"] == 2
    assert named(program, "blocks.2.mlp.fc1 forward").dimensions["rows"] > 2


def test_all_tokens_computes_every_row():
    _, program = compiled(mode="forward", all_tokens=True, trace=True)
    rows = named(program, "blocks.3.attn.qkv forward").dimensions["rows"]
    assert named(program, "norm forward").dimensions["rows"] == rows
    assert named(program, "head forward").dimensions["rows"] == 2


def test_selectors_emit_what_they_need():
    _, program = compiled()
    # The second selector feeds the last block alone, whose patch queries nobody reads: no keys there.
    assert (
        ops_of(program)["select_tokens"] == ops_of(program)["gather_tokens"] == ops_of(program)["scatter_tokens"] == 2
    )
    assert ops_of(program)["select_keys"] == 1
    assert named(program, "blocks.0.attn forward").dimensions["map_rows"] == 17
    assert named(program, "blocks.2.attn forward").dimensions["map_rows"] == 1
    assert named(program, "blocks.1.attn forward").flags == {"SPARSE", "SCORES", "VALUES"}
    assert named(program, "blocks.2.attn backward").flags == {"SPARSE"}


def test_a_selector_that_keeps_all_tokens_gathers_nothing():
    _, program = compiled(sparsity=Sparsity(1.0, 0.5, (2, 3)))
    assert ops_of(program)["gather_tokens"] == ops_of(program)["scatter_tokens"] == 0
    assert ops_of(program)["select_keys"] == 2
    assert named(program, "blocks.1.select_tokens").dimensions["keep"] == 16


def test_a_selector_that_keeps_everything_is_nothing():
    _, program = compiled(sparsity=Sparsity(1.0, 1.0, (2, 4)))
    assert not {"select_tokens", "select_keys", "gather_tokens"} & ops_of(program).keys()
    assert "MAP" not in named(program, "blocks.0.attn forward").flags


def test_tokens_alone_need_only_the_class_row_of_the_map():
    _, program = compiled(sparsity=Sparsity(0.7, 1.0, (2, 4)))
    assert ops_of(program)["select_keys"] == 0
    assert named(program, "blocks.0.attn forward").dimensions["map_rows"] == 1


def test_only_matrices_decay():
    _, program = compiled(update_images=2)
    decaying = {n for n, i in zip(program.names, program.instructions, strict=True) if "DECAY" in i.flags}
    assert "blocks.0.attn.qkv[2] dW" in decaying
    assert all(name.endswith(" dW") for name in decaying)
    assert len(decaying) == 2 + 6 * SMALL.depth


def test_a_weight_is_updated_behind_its_gradient_and_not_read_again():
    _, program = compiled(update_images=2)
    updated = set()
    for instruction in program.instructions:
        if instruction.op.name in ("gemm_nt", "gemm_nn"):
            assert instruction.operand("w").address not in updated
        if "UPDATE" in instruction.flags:
            updated.add(instruction.operand("weight").address)
    assert len(updated) == 2 + 6 * SMALL.depth


@pytest.mark.parametrize("accumulate", [False, True])
def test_short_updates_run_beside_attention_behind_their_gradient(accumulate):
    _, program = compiled(TINY, batch=1, update_images=1, accumulate=accumulate)
    instructions = program.instructions
    beside = {j for i, first in enumerate(instructions) for j in range(i + 1, i + 1 + first.beside)}
    alone = [name for i, name in enumerate(program.names) if i not in beside and name.endswith(" update")]
    behind = [f"blocks.0.{name} update" for name in ("norm1.weight", "norm1.bias", "attn.qkv.bias")]
    ends = [f"{name} update" for name in ("cls_token", "pos_embed.class", "pos_embed.patches", "patch_embed.proj.bias")]
    assert alone == ends + behind
    for index, update in enumerate(instructions):
        if update.op.name == "sgd_update":
            weight = set(places(update, written=True))
            gradient = set(places(update)) - weight
            assert all(gradient.isdisjoint(places(later, written=True)) for later in instructions[index + 1 :])
            assert all(weight.isdisjoint(places(later)) for later in instructions[index + 1 :])


def test_every_parameter_is_updated_once():
    for trace in (False, True):
        _, program = compiled(update_images=2, trace=trace)
        updating = [i for i in program.instructions if i.op.name == "sgd_update" or "UPDATE" in i.flags]
        updated = {i.operand("weight").address for i in updating if "LATER_PART" not in i.flags}
        assert len(updated) == len([i for i in updating if "LATER_PART" not in i.flags])
        assert len(updated) == len(device_parameters(SMALL))


def test_later_parts_of_a_weight_follow_its_first():
    _, program = compiled(update_images=2)
    parts = [named(program, f"blocks.1.attn.qkv[{part}] dW") for part in range(3)]
    assert ["LATER_PART" in part.flags for part in parts] == [False, True, True]
    assert len({part.operand("weight").slot for part in parts}) == 1


def test_a_layout_that_traces_keeps_the_gradients():
    _, program = compiled(update_images=2, trace=True)
    assert ops_of(program)["sgd_update"] == len(device_parameters(SMALL))
    assert not any("UPDATE" in instruction.flags for instruction in program.instructions)


@pytest.mark.parametrize("columns, rows_of", [(192, (3, 64)), (1000, (25, 40)), (10, (1, 10))])
def test_a_vector_is_updated_as_rows_of_a_column_tile(columns, rows_of):
    model = replace(SMALL, classes=columns)
    _, program = compiled(model, update_images=2)
    update = named(program, "head.bias update")
    assert (update.dimensions["rows"], update.dimensions["n"]) == rows_of


def test_exponents_follow_the_update_in_three_ranges():
    layout, program = compiled(update_images=8)
    last = program.instructions[-3:]
    assert [i.dimensions["bits"] for i in last] == [15, 15, 31]
    first, *_, end = (layout.slots.groups[g] for g in (Group.ACTIVATION, Group.GRADIENT, Group.WEIGHT_GRADIENT))
    assert last[0].dimensions["first"] == first.start
    assert last[2].dimensions["first"] + last[2].dimensions["count"] == end.stop
    assert named(program, "head dW").immediates["average_shift"] == 3
    assert named(program, "head.bias update").immediates["average_shift"] == 3
    assert ops_of(compile_exponent_update(layout)) == {"exponent_update": 3}


def test_every_sum_accumulates_or_none_does():
    for accumulate in (False, True):
        _, program = compiled(accumulate=accumulate)
        sums = [i for i in program.instructions if "ACCUMULATE" in i.op.flags]
        assert len(sums) > 20
        assert {"ACCUMULATE" in i.flags for i in sums} == {accumulate}


def test_modes_end_where_they_should():
    assert compiled(mode="forward")[1].names[-1] == "head forward"
    layout, program = compiled(mode="eval")
    assert program.names[-1] == "cross_entropy"
    assert not program.instructions[-1].flags
    assert program.slot_table is layout.evaluation_slots


def test_label_smoothing_sums_to_one():
    _, program = compiled(label_smoothing=0.1)
    targets = named(program, "cross_entropy").immediates
    assert targets["target_on"] + (SMALL.classes - 1) * targets["target_off"] == pytest.approx(2**30, abs=SMALL.classes)
    with pytest.raises(PeelVitError, match=r"label smoothing is 1\.0"):
        compiled(label_smoothing=1.0)


def test_the_scale_is_that_of_the_unpadded_head():
    model = ViTConfig("m", 4, 2, 1, 12, 1, 3, 8, 2)
    _, program = compiled(model, Sparsity())
    forward, attention = (named(program, f"blocks.0.attn {way}") for way in ("forward", "backward"))
    assert attention.dimensions["head_dim"] == 8
    assert forward.immediates["scale"] / 2**20 == pytest.approx(1.4426950408889634 / 2, rel=1e-6)
    mantissa, shift = attention.immediates["gradient_mantissa"], attention.immediates["gradient_shift"]
    assert mantissa * 2.0**-shift == 0.5


@pytest.mark.parametrize("images", [0, 3, 24])
def test_an_average_must_be_a_shift(images):
    with pytest.raises(PeelVitError, match="not a power of two"):
        compiled(update_images=images)


def test_a_model_too_large_for_the_hardware_is_refused_by_name():
    with pytest.raises(PeelVitError, match="configuration toy: cls_token forward needs batch = 9 and max_split is 8"):
        compiled(config=TOY, batch=9)
    wide = ViTConfig("wide", 8, 2, 3, 300, 1, 4, 8, 2)
    with pytest.raises(
        PeelVitError, match=r"wide with micro-batches of 1 does not fit .* n = 300 and max_columns is 256"
    ):
        compiled(wide, config=TOY, batch=1)


def own_columns(instruction, operand):
    """Ranges of columns; of queries, keys and values those that the passes read."""
    columns, d = pieces(operand.columns, instruction.dimensions), instruction.dimensions
    if (instruction.op.name, operand.name) != ("attention", "qkv"):
        return columns
    width = d["heads"] * d["head_dim"]
    queries, keys, values = columns if d["skipped"] else (range(i * width, (i + 1) * width) for i in range(3))
    of_pass = {"SCORES": (queries, keys), "VALUES": (values,)}
    return tuple(chain(*(of_pass[flag] for flag in of_pass if flag in instruction.flags)))


def own_rows(instruction, operand):
    """Rows; of attention those of the queries that it asks."""
    rows, d = pieces(operand.rows, instruction.dimensions), instruction.dimensions
    if instruction.op.name != "attention" or operand.name == "qkv":
        return [*chain(*rows)]
    if operand.name == "y":
        queries = [0] * d["batch"] + [1 + i % d["patches"] for i in range(len([*chain(*rows)]) - d["batch"])]
    else:
        first, period = {"keys": (1, d["patches"]), "map": (0, d["map_rows"])}.get(operand.name, (0, d["queries"]))
        queries = [first + i % period for i in range(len(rows[0]))]
    asked = range(d["first"], d["first"] + d["count"])
    return [row for row, query in zip(chain(*rows), queries, strict=True) if query in asked]


def places(instruction, *, written=False):
    """Words of an instruction's operands, all or those that it writes."""
    for operand in instruction.op.operands:
        is_absent = operand.name not in instruction.operands or operand.access is Access.NONE
        if is_absent or (written and not operand.is_written(instruction.flags)):
            continue
        yield from words_of(instruction, operand)


def words_of(instruction, operand):
    """Words of one operand."""
    place, columns = instruction.operand(operand.name), own_columns(instruction, operand)
    for row in own_rows(instruction, operand):
        for own in columns:
            start = place.address + row * place.pitch + words_per_row(operand.element, own.start)
            yield from range(start, start + words_per_row(operand.element, len(own)))


def brought_weights(instruction):
    """Operand, columns and length of the weights that it brings for a later one; None if it brings none."""
    name, sizes = ("w", ("n", "k")) if instruction.op.name == "load_weights" else ("next_w", ("next_n", "next_k"))
    if name not in instruction.operands or instruction.op.name not in ("load_weights", "gemm_nt", "gemm_nn"):
        return None
    operand = next(o for o in instruction.op.operands if o.name == name)
    return operand, [instruction.dimensions[size] for size in sizes]


@pytest.mark.parametrize("model, batch", [(SMALL, 1), (SMALL, 2), (SMALL, 16), (SMALL, 32), (TINY, 1)])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_nothing_runs_beside_what_it_depends_on(mode, model, batch):
    _, program = compiled(model, batch=batch, mode=mode, update_images=batch if mode == "train" else None)
    beside = 0
    for index, instruction in enumerate(program.instructions):
        written, used = set(places(instruction, written=True)), set(places(instruction))
        for other in program.instructions[index + 1 : index + 1 + instruction.beside]:
            assert other.op.unit != "attention"
            assert other.op.name != "exponent_update"
            assert written.isdisjoint(places(other))
            assert used.isdisjoint(places(other, written=True))
            beside += 1
    assert beside > 0 or (mode == "eval" and model is SMALL and batch % 16)


PUT_ON_CHIP = {
    "gemm_nt": ("x", "k"), "gemm_nn": ("dy", "k"), "layernorm": ("y", "n"), "layernorm_backward": ("dx", "n")
}  # fmt: skip
"""The operand whose rows an instruction leaves on chip, and the dimension that says how long they are."""


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("sparsity", [Sparsity(), BOTH])
def test_what_is_said_to_be_on_chip_is(mode, sparsity):
    """Behind a GEMM of the same rows, or a layer norm that makes them, come only instructions of the attention unit,
    which do not write them."""
    _, program = compiled(TINY, sparsity, batch=1, mode=mode)
    last, claims = None, 0
    for instruction in program.instructions:
        if instruction.flags & {"SAME_X", "SAME_DY"} and instruction.op.name != "gemm_tn":
            name, length = PUT_ON_CHIP[last.op.name]
            first = instruction.operand(PUT_ON_CHIP[instruction.op.name][0])
            made = last.operand(name)
            assert (first.address, first.pitch) == (made.address, made.pitch)
            assert instruction.dimensions.get("segments", 1) == 1
            assert instruction.dimensions["rows"] == last.dimensions["rows"]
            assert instruction.dimensions["k"] == last.dimensions[length]
            claims += 1
        if instruction.op.unit != "attention":
            last = instruction if instruction.op.name in PUT_ON_CHIP else None
        elif last is not None:
            held = set(places(last))
            last = last if held.isdisjoint(places(instruction, written=True)) else None
    assert claims >= (4 if mode == "train" else 2) * TINY.depth - 6


def test_parts_of_a_weight_gradient_find_their_columns_on_chip():
    """Behind the gradient of the queries' weights come those of keys and values, of the same x."""
    _, program = compiled(TINY, batch=1, update_images=1)
    claims = 0
    for before, instruction in pairwise(program.instructions):
        if instruction.op.name == "gemm_tn" and "SAME_X" in instruction.flags:
            assert before.op.name == "gemm_tn"
            assert before.operand("x") == instruction.operand("x")
            assert before.dimensions == instruction.dimensions
            claims += 1
    assert claims == 2 * TINY.depth


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_weights_said_to_be_on_chip_were_loaded_last(mode, batch):
    """By the last instruction that uses the array, and nothing writes them in between."""
    _, program = compiled(TINY, batch=batch, mode=mode, update_images=batch if mode == "train" else None)
    last, claims, linears = None, Counter(), 0
    for instruction in program.instructions:
        brought = brought_weights(last) if last is not None else None
        if "LOADED_W" in instruction.flags:
            operand, size = brought
            there, wanted, d = last.operand(operand.name), instruction.operand("w"), instruction.dimensions
            assert (there.address, there.pitch) == (wanted.address, wanted.pitch)
            assert size == [d.get("part", d["n"]), d["k"] // d.get("segments", 1)]
            assert instruction.op.name == ("gemm_nn" if last.op.name == "gemm_nn" else "gemm_nt")
            claims[instruction.op.name] += 1
        else:
            assert brought is None or instruction.op.unit != "gemm"
        if instruction.op.unit == "gemm":
            last = instruction
            linears += instruction.op.name == "gemm_nt"
        elif brought is not None:
            assert set(words_of(last, brought[0])).isdisjoint(places(instruction, written=True))
    assert claims["gemm_nt"] == linears - 1
    # Of the MLP and the attention's output projection, behind the projections of the block above.
    assert claims["gemm_nn"] == (3 * TINY.depth - 1 if mode == "train" else 0)


@pytest.mark.parametrize("batch", [1, 2, 16])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_attention_that_has_the_array_for_itself_has_weights_beside(mode, batch):
    """Those of the linear layer that comes next."""
    _, program = compiled(SMALL, batch=batch, mode=mode)
    loads = 0
    for place, instruction in enumerate(program.instructions):
        beside = program.instructions[place + 1 : place + 1 + instruction.beside]
        if instruction.op.name == "attention" and not any(other.op.name == "gemm_nt" for other in beside):
            behind = next(i for i in program.instructions[place + 1 :] if i.op.unit == "gemm" and i not in beside)
            if behind.op.name == "gemm_nt":
                (load,) = (other for other in beside if other.op.name == "load_weights")
                assert load.operand("w").address == behind.operand("w").address
                loads += 1
    assert loads == sum(i.op.name == "load_weights" for i in program.instructions)
    assert loads > 0


def all_named(program, wanted):
    return [i for i, name in zip(program.instructions, program.names, strict=True) if name == wanted]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_in_front_of_a_selector_the_passes_of_attention_go_apart(mode, batch):
    """Values are projected beside the scores; beside the sums of values, of all queries, the selector chooses. Further
    parts of queries (the dense block of a single image) are one instruction each."""
    _, program = compiled(TINY, batch=batch, mode=mode)
    for index in (0, 2):
        scores, values, *others = all_named(program, f"blocks.{index}.attn forward")
        assert all(i.flags == {"SCORES", "VALUES", "MAP"} for i in others)
        assert (len(others) > 0) == (batch == 1 and index == 0)
        assert (scores.flags - {"SPARSE"}, values.flags - {"SPARSE"}) == ({"SCORES", "MAP"}, {"VALUES"})
        assert scores.operand("probability") == values.operand("probability")
        choosing = () if others else tuple(f"blocks.{index + 1}.select_{what}" for what in ("tokens", "keys"))
        beside_values = (*choosing, f"blocks.{index}.attn.proj weights")
        for one, wanted in (scores, (f"blocks.{index}.attn.qkv forward",)), (values, beside_values):
            first = program.instructions.index(one) + 1
            assert program.names[first : first + one.beside] == wanted


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("sparsity", [Sparsity(), BOTH])
def test_groups_of_heads_and_parts_of_queries_cover_all_of_them(mode, sparsity):
    """Of a single image, blocks in front of a selector take all heads at once: their map is a sum over all."""
    layout, program = compiled(TINY, sparsity, batch=1, mode=mode)
    cut_by_queries = 0
    for index in range(TINY.depth):
        found = [i for i in all_named(program, f"blocks.{index}.attn forward") if "VALUES" in i.flags]
        context = layout.tensors[f"blocks.{index}.attn.context"]
        asked = Counter()
        for i in found:
            heads = (i.operand("y").address - layout.matrix(context.name).address) // 8  # words of 64 elements
            queries = range(i.dimensions["first"], i.dimensions["first"] + i.dimensions["count"])
            asked.update((head + heads, query) for head in range(i.dimensions["heads"]) for query in queries)
        everything = [(h, q) for h in range(TINY.heads) for q in range(found[0].dimensions["queries"])]
        assert asked == Counter(everything)
        parts = {i.dimensions["first"] for i in found}
        cut_by_queries += len(parts) > 1
        first = [i for i in found if i.dimensions["first"] == 0]
        starts = [i.operand("y").address - first[0].operand("y").address for i in first]
        ends = [start + i.dimensions["heads"] * 8 for start, i in zip(starts, first, strict=True)]  # of 64 elements
        assert starts == [0, *ends[:-1]]
        has_map = (sparsity == BOTH and index in (0, 2)) or (index == TINY.depth - 1 and mode == "train")
        assert len(first) == 1 if has_map else len(first) > 1 or index == TINY.depth - 1
    if sparsity == Sparsity():
        assert cut_by_queries == TINY.depth - 1


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_what_follows_attention_is_done_to_each_row_once(mode):
    """Of a single image: projection, norm and MLP of all rows, where in parts beside attention of the next part."""
    layout, program = compiled(TINY, Sparsity(), batch=1, mode=mode)
    for index in range(TINY.depth - 1):
        tokens = 1 + TINY.patches
        for layer, written in (("attn.proj", "after_attn"), ("mlp.fc1", "mlp.gelu"), ("mlp.fc2", "out")):
            whole = layout.matrix(f"blocks.{index}.{written}")
            rows = Counter()
            for i in all_named(program, f"blocks.{index}.{layer} forward"):
                first = (i.operand("y").address - whole.address) // whole.pitch
                rows.update(range(first, first + i.dimensions["rows"]))
                assert i.dimensions["split"] == (first == 0)
            assert rows == Counter(range(tokens))


@pytest.mark.parametrize("mode", ["train", "eval", "forward"])
def test_halves_of_a_batch_cover_it(mode):
    """Every block but the last has attention of the first eight images and of the others."""
    _, program = compiled(batch=16, mode=mode)
    for index in range(SMALL.depth):
        found = [i for i in all_named(program, f"blocks.{index}.attn forward") if "VALUES" in i.flags]
        assert [i.dimensions["batch"] for i in found] == ([16] if index == SMALL.depth - 1 else [8, 8])
