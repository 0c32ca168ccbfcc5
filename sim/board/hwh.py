"""The hardware handoff (`.hwh`) of the virtual board: what Vivado 2021.1 would write for the system of `hls.spec`.

Registers come from `hls.spec.registers`, blocks, addresses and memory ports from `hls.spec.system`; PYNQ reads it as it
reads a real one. Left out is what only Vivado's own tools look at, such as the interconnects' pins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from hls.spec import system
from hls.spec.config import HardwareConfig
from hls.spec.registers import BY_NAME, Direction, RegisterWord, register_words
from sim.board.clocks import IOPLL_FEEDBACK, IOPLL_HALVED, REFERENCE_MHZ, Pll, divisors, frequency

PROCESSOR = "zynq_ultra_ps_e_0"
_CLOCK_NET = f"{PROCESSOR}_pl_clk0"
_TIMESTAMP = "Thu Jan  1 00:00:00 1970"  # the same configuration gives the same file
_PART = re.compile(r"(?P<device>[a-z0-9]+)-(?P<package>[a-z0-9]+)-(?P<speed>.+)")

# Bits of the control registers: name, position, access and what a read does to it.
_FIELDS: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "CTRL": (
        ("AP_START", 0, "read-write", ""),
        ("AP_DONE", 1, "read-only", "modify"),
        ("AP_IDLE", 2, "read-only", "modify"),
        ("AP_READY", 3, "read-only", "modify"),
        ("AUTO_RESTART", 7, "read-write", ""),
    ),
    "GIER": (("Enable", 0, "read-write", ""),),
    "IP_IER": (("CHAN0_INT_EN", 0, "read-write", ""), ("CHAN1_INT_EN", 1, "read-write", "")),
    "IP_ISR": (("CHAN0_INT_ST", 0, "read-only", "modify"), ("CHAN1_INT_ST", 1, "read-only", "modify")),
}
# Registers of the timer and the provenance block: names and offsets of their data sheets.
_TIMER = {"TCSR0": 0x00, "TLR0": 0x04, "TCR0": 0x08, "TCSR1": 0x10, "TLR1": 0x14, "TCR1": 0x18}
_GPIO = {"GPIO_DATA": 0x00, "GPIO_TRI": 0x04, "GPIO2_DATA": 0x08, "GPIO2_TRI": 0x0C}


@dataclass(frozen=True)
class _Port:
    attributes: dict[str, str | int]
    signal: str
    connections: list[tuple[str, str]]


@dataclass(frozen=True)
class _Interface:
    name: str
    net: str
    type: str
    protocol: str
    bits: int
    address_bits: int


@dataclass(frozen=True)
class _Range:
    block: str
    base_name: str
    high_name: str
    offset: int
    bytes: int
    instance: str
    interface: str
    master: str
    kind: str = "REGISTER"


@dataclass(frozen=True)
class _Register:
    name: str
    properties: dict[str, str]
    fields: list[Any]


@dataclass(frozen=True)
class _Field:
    name: str
    properties: dict[str, str]


@dataclass(frozen=True)
class _Module:
    name: str
    vlnv: str
    parameters: dict[str, Any]
    ports: list[_Port]
    interfaces: list[_Interface]
    registers: list[_Register] = field(default_factory=list)
    register_interface: str = ""
    register_bytes: int = 0
    memory: list[_Range] = field(default_factory=list)
    kind: str = "PERIPHERAL"

    @property
    def type(self) -> str:
        return self.vlnv.split(":")[2]

    @property
    def version(self) -> str:
        return self.vlnv.split(":")[3]

    @property
    def processor(self) -> bool:
        return self.type == "zynq_ultra_ps_e"


def render_hwh(config: HardwareConfig, words: Iterable[RegisterWord] | None = None) -> str:
    """The `.hwh` of an accelerator of `config`; other `words` than the register map's give a file out of date."""
    part = _PART.fullmatch(config.part)
    if part is None:
        raise ValueError(f"{config.part} is not a part as the vendor's tools name it")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    hertz = round(_achieved_mhz(config) * 1e6)
    return environment.get_template("peelvit.hwh.j2").render(
        design="peelvit",
        timestamp=_TIMESTAMP,
        hertz=hertz,
        modules=[
            _kernel(config, hertz, list(words or hardware_words())),
            _timer(hertz),
            _interrupts(hertz),
            _provenance(hertz),
            _processor(config, hertz),
        ],
        **part.groupdict(),
    )


def hardware_words() -> tuple[RegisterWord, ...]:
    """Registers that Vitis HLS makes of the kernel: all but the cycle counter, which is the system's timer there."""
    return tuple(word for word in register_words() if word.register.name not in ("cycles_low", "cycles_high"))


def _achieved_mhz(config: HardwareConfig) -> float:
    """The frequency that the divisors give, which the design was timed for."""
    return frequency(Pll(IOPLL_FEEDBACK, IOPLL_HALVED), *divisors(config.clock_mhz))


def _clock(name: str, hertz: int) -> _Port:
    attributes: dict[str, str | int] = {"CLKFREQUENCY": hertz, "DIR": "I", "NAME": name, "SIGIS": "clk"}
    return _Port(attributes, _CLOCK_NET, [(PROCESSOR, "pl_clk0")])


def _wire(name: str, direction: str, kind: str, net: str, other: tuple[str, str]) -> _Port:
    extra: dict[str, str | int] = {"SENSITIVITY": "LEVEL_HIGH"} if kind == "INTERRUPT" else {}
    return _Port({"DIR": direction, "NAME": name, **extra, "SIGIS": kind}, net, [other])


def _register(name: str, offset: int, access: str, text: str, fields: list[_Field] | None = None) -> _Register:
    properties = {
        "DESCRIPTION": text, "ADDRESS_OFFSET": f"0x{offset:X}", "SIZE": "32", "ACCESS": access, "IS_ENABLED": "true",
        "RESET_VALUE": "0x0",
    }  # fmt: skip
    return _Register(name, properties, fields or [_bits(name, 0, 32, access, "")])


def _bits(name: str, position: int, width: int, access: str, read_action: str) -> _Field:
    return _Field(
        name,
        {
            "DESCRIPTION": name, "ADDRESS_OFFSET": str(position), "ACCESS": access,
            "MODIFIED_READ_VALUES": "modify" if access == "read-write" else "", "WRITE_CONSTRAINT": "0",
            "READ_ACTION": read_action, "BIT_OFFSET": str(position), "BIT_WIDTH": str(width),
        },
    )  # fmt: skip


def _kernel_register(word: RegisterWord) -> _Register:
    access = "read-only" if word.register.direction is Direction.OUTPUT else "read-write"
    fields = [_bits(name, bit, 1, how, action) for name, bit, how, action in _FIELDS.get(word.name, ())]
    return _register(word.name, word.offset, access, word.register.text, fields)


def _block(block: system.Block, hertz: int, registers: list[_Register], **more: Any) -> _Module:
    """A block on the control bus."""
    prefix = f"C_{block.interface.upper()}"
    parameters = {
        "Component_Name": f"peelvit_{block.name}_0",
        f"{prefix}_ADDR_WIDTH": 12,
        f"{prefix}_DATA_WIDTH": 32,
        "EDK_IPTYPE": "PERIPHERAL",
        "C_BASEADDR": f"0x{block.offset:08X}",
        "C_HIGHADDR": f"0x{block.offset + block.bytes - 1:08X}",
        **more.pop("parameters", {}),
    }
    control = _Interface(block.interface, f"control_{block.name}", "SLAVE", "AXI4LITE", 32, 12)
    ports = [_clock("ap_clk" if block is system.KERNEL else f"{block.interface.lower()}_aclk", hertz)]
    return _Module(
        block.name,
        block.vlnv,
        parameters,
        ports + more.pop("ports", []),
        [control, *more.pop("interfaces", [])],
        registers,
        block.interface,
        block.bytes,
        **more,
    )


def _kernel(config: HardwareConfig, hertz: int, words: list[RegisterWord]) -> _Module:
    masters = [
        _Interface(port.master, f"memory_{port.segment}", "MASTER", "AXI4", system.BUS_WIDTH, 64)
        for port in system.MEMORY_PORTS
    ]
    memory = [
        _Range(
            f"{port.segment}_{part.segment}", f"C_{part.segment}_BASEADDR", f"C_{part.segment}_HIGHADDR", part.offset,
            part.bytes, PROCESSOR, port.port, port.master, "MEMORY",
        )
        for port in system.MEMORY_PORTS
        for part in system.MEMORY
    ]  # fmt: skip
    interrupt = _wire("interrupt", "O", "INTERRUPT", "peelvit_interrupt", (system.INTERRUPTS.name, "intr"))
    return _block(
        system.KERNEL, hertz, [_kernel_register(word) for word in words], ports=[interrupt], interfaces=masters,
        memory=memory, parameters={"clk_period": f"{1000 / config.clock_mhz:.3f}", "machine": 64},
    )  # fmt: skip


def _timer(hertz: int) -> _Module:
    registers = [_register(name, offset, "read-write", name) for name, offset in _TIMER.items()]
    return _block(system.TIMER, hertz, registers, parameters={"C_COUNT_WIDTH": 32, "mode_64bit": 1})


def _interrupts(hertz: int) -> _Module:
    ports = [
        _wire("intr", "I", "INTERRUPT", "peelvit_interrupt", (system.KERNEL.name, "interrupt")),
        _wire("irq", "O", "INTERRUPT", "interrupts_irq", (PROCESSOR, "pl_ps_irq0")),
    ]
    return _block(
        system.INTERRUPTS, hertz, [], ports=ports, parameters={"C_NUM_INTR_INPUTS": 2, "C_KIND_OF_INTR": "0x0"}
    )


def _provenance(hertz: int) -> _Module:
    registers = [_register(name, offset, "read-write", name) for name, offset in _GPIO.items()]
    return _block(system.PROVENANCE, hertz, registers, parameters={"C_IS_DUAL": 1, "C_ALL_INPUTS": 1})


def _processor(config: HardwareConfig, hertz: int) -> _Module:
    ports = [
        _Port({"CLKFREQUENCY": hertz, "DIR": "O", "NAME": "pl_clk0", "SIGIS": "clk"}, _CLOCK_NET,
              [(block.name, "ap_clk") for block in (system.KERNEL,)]),
        _wire("pl_ps_irq0", "I", "INTERRUPT", "interrupts_irq", (system.INTERRUPTS.name, "irq")),
    ]  # fmt: skip
    interfaces = [
        _Interface("M_AXI_HPM0_FPD", "control", "MASTER", "AXI4", 32, 40),
        *(
            _Interface(p.port, f"memory_{p.segment}", "SLAVE", "AXI4", system.BUS_WIDTH, 49)
            for p in system.MEMORY_PORTS
        ),
    ]
    memory = [
        _Range("Reg", "C_BASEADDR", "C_HIGHADDR", block.offset, block.bytes, block.name, block.interface,
               "M_AXI_HPM0_FPD")
        for block in system.BLOCKS
    ]  # fmt: skip
    return _Module(
        PROCESSOR,
        "xilinx.com:ip:zynq_ultra_ps_e:3.3",
        _processor_parameters(config),
        ports,
        interfaces,
        memory=memory,
    )


def _processor_parameters(config: HardwareConfig) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "PSU__PSS_REF_CLK__FREQMHZ": REFERENCE_MHZ,
        "PSU__CRL_APB__IOPLL_CTRL__FBDIV": IOPLL_FEEDBACK,
        "PSU__CRL_APB__IOPLL_CTRL__DIV2": int(IOPLL_HALVED),
        "PSU__USE__IRQ0": 1,
        "C_MAXIGP0_DATA_WIDTH": 32,
    }
    for port in system.MEMORY_PORTS:
        parameters[f"PSU__USE__S_AXI_GP{port.index}"] = 1
        parameters[f"C_SAXIGP{port.index}_DATA_WIDTH"] = system.BUS_WIDTH
    for clock in range(4):
        prefix, used = f"PSU__CRL_APB__PL{clock}_REF_CTRL", clock == 0
        requested = config.clock_mhz if used else 100
        first, second = divisors(requested)
        parameters |= {
            f"PSU__FPGA_PL{clock}_ENABLE": int(used),
            f"{prefix}__SRCSEL": "IOPLL",
            f"{prefix}__FREQMHZ": requested,
            f"{prefix}__ACT_FREQMHZ": f"{frequency(Pll(IOPLL_FEEDBACK, IOPLL_HALVED), first, second):.6f}",
            f"{prefix}__DIVISOR0": first,
            f"{prefix}__DIVISOR1": second,
        }
    return parameters


assert set(_FIELDS) <= {word.name for word in register_words()}, "the control registers of ap_ctrl_hs"
assert BY_NAME["ap_ctrl"].offset == 0
