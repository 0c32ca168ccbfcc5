# What the checker knows of Vivado's IP: versions by tool, parameters with their legal values, pins and interfaces.
#
# A pin is {direction width kind}: kinds are clock, reset, interrupt and data; `?` behind the kind: may stay open.
# An interface is {mode width clock}: `clock` is the pin that it runs on.
namespace eval catalog {
    # VLNV by name. 2022.2 and later keep these versions but for the ones listed.
    proc version_of {name} {
        set versions {zynq_ultra_ps_e 3.3 smartconnect 1.0 axi_timer 2.0 axi_intc 4.1 axi_gpio 2.0 xlconstant 1.1
            xlconcat 2.1 proc_sys_reset 5.0 clk_wiz 6.0}
        if {[check::from 2022.2]} { dict set versions zynq_ultra_ps_e 3.4 }
        if {[check::from 2023.2]} { dict set versions zynq_ultra_ps_e 3.5 }
        return [expr {[dict exists $versions $name] ? [dict get $versions $name] : ""}]
    }

    proc names {} {
        return {zynq_ultra_ps_e smartconnect axi_timer axi_intc axi_gpio xlconstant xlconcat proc_sys_reset clk_wiz}
    }

    # Parameters and their defaults; the processing system's are those after the board's preset.
    proc defaults {name} {
        switch $name {
            zynq_ultra_ps_e {
                set found {PSU__USE__IRQ0 0 PSU__USE__IRQ1 0 PSU__FPGA_PL0_ENABLE 1 PSU__NUM_FABRIC_RESETS 1
                    PSU__CRL_APB__PL0_REF_CTRL__SRCSEL IOPLL PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100
                    PSU__USE__M_AXI_GP0 1 PSU__USE__M_AXI_GP1 1 PSU__USE__M_AXI_GP2 0}
                for {set i 0} {$i < 3} {incr i} { dict set found PSU__MAXIGP${i}__DATA_WIDTH 128 }
                for {set i 0} {$i < 7} {incr i} {
                    dict set found PSU__USE__S_AXI_GP$i 0
                    dict set found PSU__SAXIGP${i}__DATA_WIDTH 128
                }
                return $found
            }
            smartconnect { return {NUM_SI 2 NUM_MI 1 NUM_CLKS 1} }
            axi_timer { return {COUNT_WIDTH 32 mode_64bit 0 enable_timer2 1 TRIG0_ASSERT Active_High TRIG1_ASSERT Active_High} }
            axi_intc { return {C_IRQ_CONNECTION 0 C_NUM_SW_INTR 0 C_HAS_FAST 0} }
            axi_gpio {
                return {C_ALL_INPUTS 0 C_ALL_OUTPUTS 0 C_GPIO_WIDTH 32 C_IS_DUAL 0 C_ALL_INPUTS_2 0 C_ALL_OUTPUTS_2 0
                    C_GPIO2_WIDTH 32 C_INTERRUPT_PRESENT 0}
            }
            xlconstant { return {CONST_WIDTH 1 CONST_VAL 1} }
            xlconcat { return {NUM_PORTS 2} }
            proc_sys_reset { return {C_EXT_RST_WIDTH 4 C_AUX_RST_WIDTH 4 C_EXT_RESET_HIGH 0} }
            clk_wiz {
                return {PRIM_SOURCE Single_ended_clock_capable_pin PRIM_IN_FREQ 100.000 PRIM_IN_FREQ.VALUE_SRC DEFAULT
                    CLKOUT1_REQUESTED_OUT_FREQ 100.000 RESET_TYPE ACTIVE_HIGH USE_RESET true USE_LOCKED true}
            }
        }
        return {}
    }

    # Check a parameter's value.
    proc check_value {name parameter value} {
        if {![dict exists [defaults $name] $parameter]} { check::refuse "$name has no parameter $parameter in version $check::version" }
        switch -glob $parameter {
            PSU__USE__* - PSU__FPGA_PL0_ENABLE - C_ALL_* - C_IS_DUAL - C_IRQ_CONNECTION - mode_64bit - enable_timer2 { set legal {0 1} }
            PSU__*DATA_WIDTH { set legal {32 64 128} }
            PSU__CRL_APB__PL0_REF_CTRL__SRCSEL { set legal {IOPLL RPLL DPLL} }
            PRIM_SOURCE { set legal {Single_ended_clock_capable_pin Differential_clock_capable_pin Global_buffer No_buffer} }
            RESET_TYPE { set legal {ACTIVE_HIGH ACTIVE_LOW} }
            USE_LOCKED - USE_RESET { set legal {true false} }
            default { set legal {} }
        }
        if {[llength $legal] && $value ni $legal} { check::refuse "$name: $parameter cannot be $value; it is one of [join $legal {, }]" }
        foreach {pattern least most} {NUM_SI 1 16 NUM_MI 1 16 NUM_PORTS 1 128 *GPIO*WIDTH 1 32 CONST_WIDTH 1 4096
            *FREQMHZ 1 400 PRIM_IN_FREQ 1 1066 *OUT_FREQ 1 900} {
            if {[string match $pattern $parameter] && (![string is double -strict $value] || $value < $least || $value > $most)} {
                check::refuse "$name: $parameter must be between $least and $most, not $value"
            }
        }
    }

    # Pins of a cell with the parameters `p`.
    proc pins {name p} {
        switch $name {
            zynq_ultra_ps_e {
                set found {}
                if {[dict get $p PSU__FPGA_PL0_ENABLE]} { dict set found pl_clk0 {out 1 clock} }
                if {[dict get $p PSU__NUM_FABRIC_RESETS] > 0} { dict set found pl_resetn0 {out 1 reset} }
                for {set i 0} {$i < 2} {incr i} {
                    if {[dict get $p PSU__USE__IRQ$i]} { dict set found pl_ps_irq$i {in 1 interrupt} }
                }
                foreach {port interface} [ps_ports] {
                    if {[dict get $p PSU__USE__$port]} { dict set found [ps_clock $interface] {in 1 clock} }
                }
                return $found
            }
            smartconnect { return {aclk {in 1 clock} aresetn {in 1 reset}} }
            axi_timer {
                return {s_axi_aclk {in 1 clock} s_axi_aresetn {in 1 reset} interrupt {out 1 interrupt} capturetrig0 {in 1 interrupt?}
                    capturetrig1 {in 1 interrupt?} freeze {in 1 data?} generateout0 {out 1 data} generateout1 {out 1 data} pwm0 {out 1 data}}
            }
            axi_intc {
                set found {s_axi_aclk {in 1 clock} s_axi_aresetn {in 1 reset} intr {in 0 interrupt}}
                if {[dict get $p C_IRQ_CONNECTION]} { dict set found irq {out 1 interrupt} }
                return $found
            }
            axi_gpio {
                set found {s_axi_aclk {in 1 clock} s_axi_aresetn {in 1 reset}}
                if {[dict get $p C_ALL_INPUTS]} { dict set found gpio_io_i [list in [dict get $p C_GPIO_WIDTH] data] }
                if {[dict get $p C_IS_DUAL] && [dict get $p C_ALL_INPUTS_2]} {
                    dict set found gpio2_io_i [list in [dict get $p C_GPIO2_WIDTH] data]
                }
                return $found
            }
            xlconstant { return [dict create dout [list out [dict get $p CONST_WIDTH] data]] }
            xlconcat {
                set count [dict get $p NUM_PORTS]
                for {set i 0} {$i < $count} {incr i} { dict set found In$i {in 1 interrupt} }
                dict set found dout [list out $count interrupt]
                return $found
            }
            proc_sys_reset {
                return {slowest_sync_clk {in 1 clock} ext_reset_in {in 1 reset} aux_reset_in {in 1 reset?} mb_debug_sys_rst {in 1 data?}
                    dcm_locked {in 1 lock?} interconnect_aresetn {out 1 reset} peripheral_aresetn {out 1 reset}
                    peripheral_reset {out 1 active_high_reset} bus_struct_reset {out 1 active_high_reset} mb_reset {out 1 active_high_reset}}
            }
            clk_wiz {
                set found {clk_in1 {in 1 clock} clk_out1 {out 1 clock}}
                if {[dict get $p USE_LOCKED]} { dict set found locked {out 1 lock} }
                if {[dict get $p USE_RESET]} {
                    if {[dict get $p RESET_TYPE] eq "ACTIVE_LOW"} { dict set found resetn {in 1 reset} } else { dict set found reset {in 1 active_high_reset} }
                }
                return $found
            }
        }
    }

    # Interfaces of a cell with the parameters `p`.
    proc interfaces {name p} {
        switch $name {
            zynq_ultra_ps_e {
                set found {}
                foreach {port interface} [ps_ports] {
                    if {![dict get $p PSU__USE__$port]} { continue }
                    set width [dict get $p PSU__[string map {_AXI_GP AXIGP} $port]__DATA_WIDTH]
                    dict set found $interface [list [expr {[string match M_* $port] ? "master" : "slave"}] $width [ps_clock $interface]]
                }
                return $found
            }
            smartconnect {
                for {set i 0} {$i < [dict get $p NUM_SI]} {incr i} { dict set found [format S%02d_AXI $i] {slave 0 aclk} }
                for {set i 0} {$i < [dict get $p NUM_MI]} {incr i} { dict set found [format M%02d_AXI $i] {master 0 aclk} }
                return $found
            }
            axi_timer - axi_gpio { return {S_AXI {slave 32 s_axi_aclk}} }
            axi_intc { return {s_axi {slave 32 s_axi_aclk}} }
        }
        return {}
    }

    # Ports of the processing system: the parameter's name and the interface's.
    proc ps_ports {} {
        return {M_AXI_GP0 M_AXI_HPM0_FPD M_AXI_GP1 M_AXI_HPM1_FPD M_AXI_GP2 M_AXI_HPM0_LPD S_AXI_GP0 S_AXI_HPC0_FPD
            S_AXI_GP1 S_AXI_HPC1_FPD S_AXI_GP2 S_AXI_HP0_FPD S_AXI_GP3 S_AXI_HP1_FPD S_AXI_GP4 S_AXI_HP2_FPD
            S_AXI_GP5 S_AXI_HP3_FPD S_AXI_GP6 S_AXI_LPD}
    }

    proc ps_clock {interface} {
        return [string tolower [string map {_AXI_ axi} $interface]]_aclk
    }

    # Where the processing system decodes each of its masters' addresses.
    proc windows {interface} {
        switch $interface {
            M_AXI_HPM0_FPD { return {0xA0000000 0xAFFFFFFF 0x400000000 0x4FFFFFFFF 0x1000000000 0x47FFFFFFFF} }
            M_AXI_HPM1_FPD { return {0xB0000000 0xBFFFFFFF 0x500000000 0x5FFFFFFFF 0x4800000000 0x7FFFFFFFFF} }
            M_AXI_HPM0_LPD { return {0x80000000 0x9FFFFFFF} }
        }
        return {}
    }

    # Memory that a slave port of the processing system leads to: segment, offset, range.
    proc memory {interface high} {
        regexp {^S_AXI_(\w+?)(_FPD)?$} $interface - port
        set found [list ${port}_DDR_LOW 0x0 0x80000000 ${port}_LPS_OCM 0xFF000000 0x1000000 ${port}_QSPI 0xC0000000 0x20000000]
        if {$high > 0} { lappend found ${port}_DDR_HIGH 0x800000000 $high }
        return $found
    }

    proc strategies {} {
        return {"Vivado Implementation Defaults" Performance_Explore Performance_ExplorePostRoutePhysOpt Performance_ExtraTimingOpt
            Performance_NetDelay_high Performance_NetDelay_low Performance_Retiming Performance_RefinePlacement
            Performance_WLBlockPlacement Congestion_SpreadLogic_high Congestion_SpreadLogic_medium Congestion_SpreadLogic_low
            Area_Explore Power_DefaultOpt Flow_RunPhysOpt}
    }
}
