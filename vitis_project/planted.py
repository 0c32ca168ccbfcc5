"""The table of planted mistakes (vitis_project/mistakes.py runs it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mistake:
    """One mistake: in `file`, `old` (which must be there once) becomes `new`; `caught` is part of the sentence."""

    name: str
    file: str
    old: str
    new: str
    caught: str
    project: str = "plain"
    """Which of `PROJECTS` it is planted in."""
    settings: Mapping[str, str] = field(default_factory=dict)


PROJECTS: dict[str, dict[str, str | int]] = {
    "plain": {"config": "toy"},
    "wizard": {"config": "toy", "clock_mhz": 200, "strategies": "all"},
    "unified": {"config": "toy", "version": "2024.2"},
}
FLIP = "the last byte"
"""In a vector: turn the bits of the last byte that the golden model says memory holds."""
_HP0 = "CONFIG.PSU__SAXIGP2__DATA_WIDTH 128"

MISTAKES = (
    # Vitis HLS
    Mistake(
        "misspelt command", "hls.tcl", "csynth_design\n", "csynth_desing\n", 'invalid command name "csynth_desing"'
    ),
    Mistake("misspelt option", "hls.tcl", "csim_design -O -clean", "csim_design -optimise", "no option -optimise"),
    Mistake(
        "synthesis before the part", "hls.tcl", "set_part xczu9eg-ffvb1156-2-e\n", "", "comes before a part is set"
    ),
    Mistake(
        "source file missing",
        "hls.tcl",
        "add_files src/peelvit.cpp",
        "add_files src/peelvit_top.cpp",
        "there is no file",
    ),
    Mistake("vector missing", "hls.tcl", "whole refused inference", "whole refused inferences", "there is no vector"),
    Mistake(
        "wrong top", "hls.tcl", "set_top peelvit_top", "set_top peelvit", "no source defines the top function peelvit"
    ),
    Mistake("include folder", "hls.tcl", "-I[pwd]/src", "-I[pwd]/source", "does not exist"),
    Mistake("language standard", "hls.tcl", "-std=c++14", "-std=c++20", "cannot be c++20"),
    Mistake("clock without a number", "hls.tcl", "-period 6.667", "-period 150MHz", "must be at least 0.5"),
    Mistake("32-bit addresses", "hls.tcl", "m_axi_addr64=true", "m_axi_addr64=false", "64-bit addresses are off"),
    Mistake("interface option", "hls.tcl", "m_axi_addr64", "m_axi_address64", "no option -m_axi_address64"),
    Mistake("kernel flow", "hls.tcl", "-flow_target vivado", "-flow_target vitis", "needs -flow_target vivado"),
    Mistake("export format", "hls.tcl", "-format ip_catalog", "-format xo", "needs -format ip_catalog"),
    Mistake("co-simulation on one memory", "cosim.tcl", "split", "whole", "the mode must be split"),
    Mistake(
        "register moved",
        "src/peelvit.cpp",
        "port=window_words offset=0x4c",
        "port=window_words offset=0x38",
        "window_words at 0x38",
    ),
    Mistake(
        "register missing",
        "src/peelvit.cpp",
        "#pragma HLS interface mode=s_axilite port=status offset=0x5c bundle=control\n",
        "",
        "lacks register status",
    ),
    Mistake(
        "configuration file: misspelt key",
        "hls_config.cfg",
        "syn.top=",
        "syn.topp=",
        "there is no option syn.topp",
        "unified",
    ),
    Mistake("configuration file: section", "hls_config.cfg", "[hls]", "[HLS]", "there is no section [HLS]", "unified"),
    Mistake(
        "configuration file: part below the section",
        "hls_config.cfg",
        "clock=6.667ns",
        "clock=6.667ns\npart=xczu9eg-ffvb1156-2-e",
        "part stands above",
        "unified",
    ),
    Mistake("vector not listed", "hls.tcl", "add_files -tb tb/training.bin\n", "", "is no file of the test bench"),
    # Block design
    Mistake("misspelt parameter", "design.tcl", "PSU__USE__IRQ0 1", "PSU__USE_IRQ0 1", "no parameter PSU__USE_IRQ0"),
    Mistake("illegal value", "design.tcl", _HP0, "CONFIG.PSU__SAXIGP2__DATA_WIDTH 256", "cannot be 256"),
    Mistake("narrow memory port", "design.tcl", _HP0, "CONFIG.PSU__SAXIGP2__DATA_WIDTH 64", "has 128 bits"),
    Mistake(
        "memory port left off",
        "design.tcl",
        "CONFIG.PSU__USE__S_AXI_GP4 1",
        "CONFIG.PSU__USE__S_AXI_GP4 0",
        "there is no pin zynq_ultra_ps_e_0/saxihp2_fpd_aclk",
    ),
    Mistake(
        "port left on",
        "design.tcl",
        "CONFIG.PSU__USE__M_AXI_GP1 0",
        "CONFIG.PSU__USE__M_AXI_GP1 1",
        "maxihpm1_fpd_aclk is not connected",
    ),
    Mistake("unknown IP", "design.tcl", "cell timer axi_timer", "cell timer axi_tmr", "has no IP axi_tmr"),
    Mistake(
        "interface name",
        "design.tcl",
        "interrupts/s_axi\n",
        "interrupts/S_AXI\n",
        "there is no interface interrupts/S_AXI",
    ),
    Mistake("memory master forgotten", "design.tcl", "bus peelvit/m_axi_gmem2 memory2/S00_AXI\n", "", "no segment"),
    Mistake("reset forgotten", "design.tcl", " peelvit/ap_rst_n", "", "reset pin peelvit/ap_rst_n is not connected"),
    Mistake("clock forgotten", "design.tcl", " memory1/aclk", "", "clock pin memory1/aclk is not connected"),
    Mistake(
        "reset on a clock pin",
        "design.tcl",
        "wire zynq_ultra_ps_e_0/pl_resetn0 reset/ext_reset_in",
        "wire zynq_ultra_ps_e_0/pl_clk0 reset/ext_reset_in",
        "is a reset pin",
    ),
    Mistake(
        "interrupt forgotten",
        "design.tcl",
        "wire interrupts/irq zynq_ultra_ps_e_0/pl_ps_irq0\n",
        "",
        "pl_ps_irq0 is not connected",
    ),
    Mistake(
        "bits of a constant",
        "design.tcl",
        "cell revision xlconstant CONFIG.CONST_WIDTH 32",
        "cell revision xlconstant CONFIG.CONST_WIDTH 40",
        "has 32 bits",
    ),
    Mistake(
        "two drivers",
        "design.tcl",
        "wire revision/dout provenance/gpio_io_i",
        "wire revision/dout provenance/gpio_io_i\nwire configuration/dout provenance/gpio_io_i",
        "drive one net",
    ),
    Mistake("address overlap", "design.tcl", "-offset 0xA0010000", "-offset 0xA0000000", "overlap"),
    Mistake(
        "address outside",
        "design.tcl",
        "-offset 0xA0030000",
        "-offset 0x90030000",
        "outside of what M_AXI_HPM0_FPD decodes",
    ),
    Mistake("address unaligned", "design.tcl", "-offset 0xA0020000", "-offset 0xA0021000", "no multiple of the range"),
    Mistake(
        "address forgotten",
        "design.tcl",
        "set space [get_bd_addr_spaces peelvit/Data_m_axi_gmem1]\nassign_bd_address",
        "set space [get_bd_addr_spaces peelvit/Data_m_axi_gmem1]\n#",
        "HP1_DDR_LOW has no address",
    ),
    Mistake(
        "clock of another frequency", "design.tcl", "FREQMHZ 150]", "FREQMHZ 100]", "was synthesised for 150.0 MHz"
    ),
    Mistake(
        "board of another part",
        "design.tcl",
        "-part xczu9eg-ffvb1156-2-e",
        "-part xczu7ev-ffvc1156-2-e",
        "zcu102 has the part",
    ),
    Mistake("preset forgotten", "design.tcl", "apply_bd_automation", "#", "preset was not applied"),
    Mistake("not validated", "design.tcl", "validate_bd_design\n", "", "comes before validate_bd_design"),
    Mistake(
        "no output products", "design.tcl", "generate_target all [get_files system.bd]\n", "", "no output products"
    ),
    Mistake(
        "clock wizard's reset",
        "design.tcl",
        "RESET_TYPE ACTIVE_LOW",
        "RESET_TYPE ACTIVE_HIGH",
        "there is no pin clock/resetn",
        "wizard",
    ),
    Mistake(
        "two clock domains",
        "design.tcl",
        "wire clock/clk_out1 peelvit/ap_clk zynq_ultra_ps_e_0/maxihpm0_fpd_aclk",
        "wire zynq_ultra_ps_e_0/pl_clk0 zynq_ultra_ps_e_0/maxihpm0_fpd_aclk\nwire clock/clk_out1 peelvit/ap_clk",
        "are on different clocks",
        "wizard",
    ),
    Mistake(
        "synthesis for another device",
        "hls.tcl",
        "set_part xczu9eg-ffvb1156-2-e",
        "set_part xczu7ev-ffvc1156-2-e",
        "was synthesised for xczu7ev",
    ),
    Mistake(
        "half of the memory",
        "design.tcl",
        "-offset 0x800000000 -range 0x80000000 -target_address_space $space "
        "[get_bd_addr_segs zynq_ultra_ps_e_0/SAXIGP5/",
        "-offset 0x800000000 -range 0x40000000 -target_address_space $space "
        "[get_bd_addr_segs zynq_ultra_ps_e_0/SAXIGP5/",
        "HP3_DDR_HIGH is (34359738368, 1073741824)",
    ),
    Mistake(
        "timer does not capture",
        "design.tcl",
        " timer/capturetrig0",
        "",
        "peelvit/interrupt does not go to timer/capturetrig0",
    ),
    Mistake(
        "hash of another configuration",
        "design.tcl",
        "CONFIG.CONST_VAL 0x",
        "CONFIG.CONST_VAL 0x1",
        "as the hash",
    ),
    # Implementation
    Mistake(
        "strategy",
        "bit.tcl",
        "{Performance_Explore}",
        "{Performance_Exploration}",
        "cannot be Performance_Exploration",
        "wizard",
    ),
    Mistake(
        "flow of another version",
        "bit.tcl",
        "{Vivado Implementation 2021}",
        "{Vivado Implementation 2020}",
        "has no flow Vivado Implementation 2020",
        "wizard",
    ),
    Mistake(
        "implementation before synthesis",
        "bit.tcl",
        "launch_runs synth_1 -jobs $jobs\ncomplete synth_1\n",
        "",
        "needs synth_1",
    ),
    Mistake(
        "no timing gate",
        "bit.tcl",
        "if {$best_slack < 0} { fail",
        "if {0} { fail",
        "although timing fails",
        settings={"CHECK_SLACK": "-0.3"},
    ),
    Mistake(
        "platform without its bitstream",
        "bit.tcl",
        "launch_runs $best -to_step write_bitstream -jobs $jobs\ncomplete $best\n",
        "",
        "no bitstream to include",
    ),
    Mistake(
        "platform of another run",
        "bit.tcl",
        "current_run [get_runs $best]",
        "current_run [get_runs impl_2]",
        "no bitstream to include",
        "wizard",
    ),
    Mistake("report before the run is open", "bit.tcl", "open_run $best\n", "", "comes before open_run"),
    Mistake(
        "stem of another design",
        "bit.tcl",
        "output/peelvit_toy.hwh",
        "output/peelvit.hwh",
        "end without output/peelvit_toy.hwh",
    ),
    Mistake(
        "report option", "reports.tcl", "report_power -file", "report_power -out", "report_power has no option -out"
    ),
    Mistake("run not waited for", "bit.tcl", "    wait_on_run $run\n", "", "run synth_1 stopped"),
    Mistake("platform without -include_bit", "bit.tcl", " -include_bit", "", "without -include_bit"),
    Mistake(
        "no hold gate",
        "bit.tcl",
        "if {$hold < 0} { fail",
        "if {0} { fail",
        "although timing fails",
        settings={"CHECK_HOLD": "-0.02"},
    ),
    Mistake(
        "lock forgotten",
        "design.tcl",
        "wire clock/locked reset/dcm_locked\n",
        "",
        "clock/locked does not go to reset/dcm_locked",
        "wizard",
    ),
    Mistake("another revision", "revision.tcl", "set revision 0x", "set revision 0x1", "as the revision"),
    # Test bench
    Mistake("another golden value", "tb/training.bin", FLIP, FLIP, "training: FAIL"),
)
