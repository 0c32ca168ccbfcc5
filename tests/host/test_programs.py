from __future__ import annotations

import pytest

from hls.spec.status import Status
from host.compiler import Program
from host.device import RunResult
from host.errors import PeelVitError
from host.memory import Region
from host.programs import ProgramStore

REGION = Region("programs", "programs", 8, 100)


class Recorder:
    """A device that remembers what was written and run."""

    def __init__(self, status=Status.OK):
        self.status, self.written, self.ran = status, [], []

    def write(self, address, data):
        self.written.append((address, len(data)))

    def run(self, program):
        self.ran.append(program)
        return RunResult(self.status, 1, 5)


def program(words):
    return Program(bytes(16 * words), (), ("first", "second"), REGION)


def test_a_program_is_compiled_and_written_once():
    device = Recorder()
    store, compiled = ProgramStore(device, REGION), []

    def compile_it():
        compiled.append(1)
        return program(40)

    assert [store.run("a", compile_it) for _ in range(3)] == [5, 5, 5]
    assert (len(compiled), device.written, device.ran) == (1, [(8, 640)], [8, 8, 8])


def test_a_full_region_starts_over_without_compiling_again():
    device = Recorder()
    store = ProgramStore(device, REGION)
    for key in "abcab":
        store.run(key, lambda: program(40))
    assert [address for address, _ in device.written] == [8, 48, 8, 48, 8]
    assert device.ran == [8, 48, 8, 48, 8]


def test_a_program_longer_than_the_region_is_a_defect():
    with pytest.raises(ValueError, match="longer than the program region"):
        ProgramStore(Recorder(), REGION).run("a", lambda: program(101))


def test_what_the_device_refuses_is_told_by_name():
    with pytest.raises(PeelVitError, match=r"instruction 1 \(second\): .*shape is not legal"):
        ProgramStore(Recorder(Status.BAD_SHAPE), REGION).run("a", lambda: program(1))
