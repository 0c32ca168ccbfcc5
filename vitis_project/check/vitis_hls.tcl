# Commands of Vitis HLS (UG1399) that the scripts use, as checks. Results are stand-ins: a folder of the synthesised
# solution, and an IP-XACT file made from the interface pragmas of the source, as export_design makes one.
namespace eval hls {
    variable project "" solution "" top "" part "" period 0 sources {} bench {} addr64 0 synthesised 0

    proc need {command what} {
        variable $what
        if {[set $what] in {"" 0}} { check::refuse "$command comes before a $what is set" }
    }

    # What a project keeps between scripts.
    proc save {} {
        variable project; variable solution; variable top; variable part; variable period; variable sources
        variable bench; variable addr64; variable synthesised
        set state [list $solution $top $part $period $sources $bench $addr64 $synthesised]
        check::touch $project/checked.state $state
    }

    proc flags_of {command flags} {
        foreach flag $flags {
            if {[regexp {^-I(.*)$} $flag - folder]} {
                if {![file isdirectory $folder]} { check::refuse "$command: the include folder $folder does not exist" }
            } elseif {[regexp {^-std=(.*)$} $flag - standard]} {
                set known {c++98 c++11 c++14 gnu++98 gnu++11 gnu++14}
                if {[check::from 2023.2]} { lappend known c++17 gnu++17 }
                check::choose $command -std $standard $known
            } elseif {![regexp {^-(D\w+(=\S+)?|W[\w-]+|O[0-3]|f[\w-]+|g)$} $flag]} {
                check::refuse "$command: $flag is no compiler flag that the checker knows"
            }
        }
    }

    # Interface pragmas of the top function: lists of options by kind.
    proc pragmas {} {
        variable sources
        set found {}
        foreach {source -} $sources {
            foreach line [split [check::content $source] "\n"] {
                if {[regexp {^#pragma HLS interface (.*)$} $line - options]} { lappend found [join $options] }
            }
        }
        return $found
    }

    proc option {pragma name} {
        return [expr {[regexp "(?:^| )${name}=(\\S+)" $pragma - found] ? $found : ""}]
    }
}

proc open_project {args} {
    set found [check::arguments open_project $args {-reset -upgrade} {} {1 1}]
    set hls::project [dict get $found rest]
    if {[dict exists $found -reset]} {
        file delete -force $hls::project
    } elseif {[file exists $hls::project/checked.state]} {
        set state [string trim [check::content $hls::project/checked.state]]
        lassign $state hls::kept hls::top hls::part hls::period hls::sources hls::bench hls::addr64 hls::synthesised
    } else {
        check::refuse "open_project without -reset: there is no project $hls::project"
    }
    file mkdir $hls::project
}

proc set_top {args} {
    hls::need set_top project
    set hls::top [dict get [check::arguments set_top $args {} {} {1 1}] rest]
}

proc add_files {args} {
    set found [check::arguments add_files $args {-tb -blackbox} {-cflags -csimflags} {1 1}]
    hls::need add_files project
    set flags [check::value $found -cflags ""]
    hls::flags_of add_files $flags
    foreach path [lindex [dict get $found rest] 0] {
        if {![file exists $path]} { check::refuse "add_files: there is no file $path" }
        if {[dict exists $found -tb]} { lappend hls::bench $path $flags } else { lappend hls::sources $path $flags }
    }
}

proc open_solution {args} {
    hls::need open_solution project
    set found [check::arguments open_solution $args {-reset} {-flow_target} {1 1}]
    check::choose open_solution -flow_target [check::value $found -flow_target vivado] {vivado vitis}
    if {[check::value $found -flow_target vivado] ne "vivado"} { check::refuse "open_solution: an IP for Vivado needs -flow_target vivado" }
    set hls::solution [dict get $found rest]
    if {![dict exists $found -reset] && $hls::synthesised == 0} { check::refuse "open_solution without -reset: there is no solution $hls::solution" }
}

proc set_part {args} {
    hls::need set_part solution
    set part [dict get [check::arguments set_part $args {} {} {1 1}] rest]
    if {![regexp {^xc(zu|k|vu|v)[\w]+-[\w]+-[123][\w-]*$} $part]} { check::refuse "set_part: $part is no part" }
    set hls::part $part
}

proc create_clock {args} {
    hls::need create_clock solution
    set found [check::arguments create_clock $args {} {-period -name} {0 1}]
    check::number create_clock -period [check::value $found -period missing] 0.5
    set hls::period [dict get $found -period]
}

proc config_interface {args} {
    hls::need config_interface solution
    set known {clock_enable default_slave_interface m_axi_addr64 m_axi_alignment_byte_size m_axi_auto_max_ports
        m_axi_buffer_impl m_axi_conservative_mode m_axi_flush_mode m_axi_latency m_axi_max_bitwidth
        m_axi_max_read_burst_length m_axi_max_widen_bitwidth m_axi_max_write_burst_length m_axi_min_bitwidth
        m_axi_num_read_outstanding m_axi_num_write_outstanding m_axi_offset register_io s_axilite_auto_restart_counter
        s_axilite_data64 s_axilite_mailbox s_axilite_status_regs s_axilite_sw_reset}
    foreach word $args {
        if {![regexp {^-(\w+)=(.+)$} $word - name given]} { check::refuse "config_interface: $word is not of the form -name=value" }
        if {$name ni $known} { check::refuse "config_interface has no option -$name in version $check::version" }
        if {$name eq "m_axi_addr64"} { set hls::addr64 [string is true $given] }
    }
}

proc csim_design {args} {
    set found [check::arguments csim_design $args {-O -clean -setup -profile} {-argv -ldflags -mflags} {0 0}]
    hls::need csim_design solution
    hls::need csim_design bench
    hls::simulated csim_design csim [check::value $found -argv ""]
}

proc csynth_design {args} {
    check::arguments csynth_design $args {-dump_cfg -dump_post_cfg -synthesis_check} {} {0 0}
    foreach what {solution top part period sources} { hls::need csynth_design $what }
    set defined 0
    foreach {source -} $hls::sources {
        if {[regexp "void\\s+${hls::top}\\s*\\(" [check::content $source]]} { set defined 1 }
    }
    if {!$defined} { check::refuse "csynth_design: no source defines the top function $hls::top" }
    if {!$hls::addr64} { check::refuse "csynth_design: 64-bit addresses are off, and half of the board's memory lies above 4 GiB" }
    set hls::synthesised 1
    file mkdir $hls::project/$hls::solution/syn/report
    hls::save
}

proc cosim_design {args} {
    set found [check::arguments cosim_design $args {-O -setup -random_stall -coverage -disable_deadlock_detection
        -disable_dependency_check -enable_dataflow_profiling -enable_fifo_sizing -wave_debug} {-argv -compiled_library_dir
        -ldflags -mflags -rtl -tool -trace_level -user_stall} {0 0}]
    hls::need cosim_design solution
    hls::need cosim_design synthesised
    hls::need cosim_design bench
    check::choose cosim_design -rtl [check::value $found -rtl verilog] {verilog vhdl}
    check::choose cosim_design -trace_level [check::value $found -trace_level none] {none all port port_hier}
    hls::simulated cosim_design cosim [check::value $found -argv ""]
}

# The test bench's arguments (test_bench.cpp), and what Python compiles and runs in the tool's place.
proc hls::simulated {command kind arguments} {
    variable sources; variable bench
    lassign $arguments folder mode
    set cases [lrange $arguments 2 end]
    check::choose $command mode $mode {whole split}
    if {$kind eq "cosim" && $mode eq "whole"} { check::refuse "cosim_design: each port has a memory of its own, so the mode must be split" }
    if {![llength $cases]} { check::refuse "$command -argv names no case" }
    foreach case $cases {
        if {![file exists $folder/$case.bin]} { check::refuse "$command -argv: there is no vector $folder/$case.bin" }
        set listed 0
        foreach {path -} $bench { if {[file normalize $path] eq [file normalize $folder/$case.bin]} { set listed 1 } }
        if {!$listed} { check::refuse "$command: the vector $case.bin is no file of the test bench" }
    }
    foreach {path flags} [concat $sources $bench] {
        if {[file extension $path] eq ".cpp"} { check::note compile $kind $path $flags }
    }
    check::note arguments $kind $arguments
}

proc export_design {args} {
    set found [check::arguments export_design $args {} {-description -display_name -flow -format -ipname -library -output -rtl
        -taxonomy -vendor -version} {0 0}]
    hls::need export_design synthesised
    check::choose export_design -format [check::value $found -format ip_catalog] {ip_catalog xo syn_dcp sysgen}
    if {[check::value $found -format ip_catalog] ne "ip_catalog"} { check::refuse "export_design: Vivado's catalog needs -format ip_catalog" }
    check::choose export_design -rtl [check::value $found -rtl verilog] {verilog vhdl}
    if {![regexp {^\d+\.\d+(\.\d+)?$} [check::value $found -version 1.0]]} { check::refuse "export_design: -version must be numbers and points" }
    set vlnv [list [check::value $found -vendor xilinx.com] [check::value $found -library hls] \
        [check::value $found -ipname $hls::top] [check::value $found -version 1.0]]
    check::touch $hls::project/$hls::solution/impl/ip/component.xml [hls::component $vlnv]
    hls::save
}

# Arguments of the top function that are pointers without a memory interface: results.
proc hls::results {} {
    variable sources
    variable top
    foreach {source -} $sources {
        if {[regexp "void\\s+${top}\\s*\\((\[^)\]*)\\)" [check::content $source] - arguments]} {
            return [lmap {- name} [regexp -all -inline {unsigned\*\s+(\w+)} $arguments] {set name}]
        }
    }
}

# IP-XACT of the IP: bus interfaces, and the registers of the control interface.
proc hls::component {vlnv} {
    variable period
    variable part
    set buses ""
    set registers "CTRL 0x00 32 GIER 0x04 32 IP_IER 0x08 32 IP_ISR 0x0c 32"
    foreach pragma [pragmas] {
        set port [option $pragma port]
        switch [option $pragma mode] {
            m_axi { lappend buses m_axi_[option $pragma bundle] master }
            s_axilite {
                set offset [option $pragma offset]
                if {$port eq "return"} { continue }
                if {$offset eq ""} { check::refuse "export_design: register $port has no offset of its own" }
                # A pointer's address takes two words; a result is followed by its valid bit.
                if {[string match mem* $port]} {
                    lappend registers ${port}_1 $offset 32 ${port}_2 [expr {$offset + 4}] 32
                } else {
                    lappend registers $port $offset 32
                    if {$port in [results]} { lappend registers ${port}_ctrl [expr {$offset + 4}] 32 }
                }
            }
            default { check::refuse "export_design: interface mode [option $pragma mode] of $port is not expected" }
        }
    }
    lappend buses s_axi_control slave
    set text "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    append text "<spirit:component xmlns:spirit=\"http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009\">\n"
    foreach tag {vendor library name version} value $vlnv { append text "  <spirit:$tag>$value</spirit:$tag>\n" }
    append text "  <spirit:busInterfaces>\n"
    foreach {name mode} [lsort -stride 2 -unique $buses] {
        append text "    <spirit:busInterface><spirit:name>$name</spirit:name><spirit:$mode/></spirit:busInterface>\n"
    }
    append text "  </spirit:busInterfaces>\n  <spirit:memoryMaps><spirit:memoryMap><spirit:name>s_axi_control</spirit:name>\n"
    append text "    <spirit:addressBlock><spirit:name>Reg</spirit:name>\n"
    foreach {name offset bits} $registers {
        append text "      <spirit:register><spirit:name>$name</spirit:name>"
        append text "<spirit:addressOffset>$offset</spirit:addressOffset><spirit:size>$bits</spirit:size></spirit:register>\n"
    }
    append text "    </spirit:addressBlock></spirit:memoryMap></spirit:memoryMaps>\n"
    append text "  <spirit:parameters><spirit:parameter><spirit:name>clk_period</spirit:name>"
    append text "<spirit:value>$period</spirit:value></spirit:parameter>"
    append text "<spirit:parameter><spirit:name>part</spirit:name><spirit:value>$part</spirit:value></spirit:parameter>"
    append text "</spirit:parameters>\n</spirit:component>"
    return $text
}
