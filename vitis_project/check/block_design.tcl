# The block design as the commands of IP integrator (UG835, UG994) build it, and the rules that validation applies.
namespace eval bd {
    variable open 0 saved 0 validated 0
    variable cells {}       ;# name -> {definition parameters}
    variable nets {}        ;# pin -> net
    variable drivers {}     ;# net -> driving pin
    variable buses {}       ;# interface -> interface at its other end
    variable assigned {}    ;# space -> list of segment offset range
    variable excluded {}    ;# space -> list of segments
    variable hls {}         ;# what the accelerator's IP-XACT says
    variable high 0         ;# the board's memory above 4 GiB
    variable preset 0
    variable count 0

    proc need {command} {
        variable open
        if {!$open} { check::refuse "$command comes before create_bd_design" }
        variable validated 0
        variable saved 0
    }

    proc definition {cell} {
        variable cells
        return [lindex [dict get $cells $cell] 0]
    }

    proc parameters {cell} {
        variable cells
        return [lindex [dict get $cells $cell] 1]
    }

    proc pins {cell} {
        variable hls
        if {[definition $cell] eq [dict get $hls name]} { return [dict get $hls pins] }
        return [catalog::pins [definition $cell] [parameters $cell]]
    }

    proc interfaces {cell} {
        variable hls
        if {[definition $cell] eq [dict get $hls name]} { return [dict get $hls interfaces] }
        return [catalog::interfaces [definition $cell] [parameters $cell]]
    }

    # What `path` (cell/name) is, from the lookup `of`.
    proc thing {of path} {
        lassign [split $path /] cell name
        return [dict get [$of $cell] $name]
    }

    proc find {command of what paths quiet} {
        variable cells
        set found {}
        foreach path $paths {
            set parts [split [string trimleft $path /] /]
            if {[llength $parts] == 2 && [dict exists $cells [lindex $parts 0]] && [dict exists [$of [lindex $parts 0]] [lindex $parts 1]]} {
                lappend found [join $parts /]
            } elseif {!$quiet} {
                check::refuse "$command: there is no $what $path"
            }
        }
        return $found
    }

    proc clock_net {interface} {
        variable nets
        lassign [split $interface /] cell
        set pin $cell/[lindex [thing interfaces $interface] 2]
        return [expr {[dict exists $nets $pin] ? [dict get $nets $pin] : ""}]
    }

    # The interface at the far end of a master, through interconnects: all slaves that it reaches.
    proc reached {master} {
        variable buses
        if {![dict exists $buses $master]} { return {} }
        set slave [dict get $buses $master]
        lassign [split $slave /] cell
        if {[definition $cell] ne "smartconnect"} { return [list $slave] }
        set found {}
        dict for {name interface} [interfaces $cell] {
            if {[lindex $interface 0] eq "master"} { lappend found {*}[reached $cell/$name] }
        }
        return $found
    }

    # Address segments behind a slave interface: name, fixed offset (empty: free), range.
    proc segments {slave} {
        variable high
        variable hls
        lassign [split $slave /] cell name
        if {[definition $cell] eq "zynq_ultra_ps_e"} {
            set index [dict get {HPC0 0 HPC1 1 HP0 2 HP1 3 HP2 4 HP3 5} [regsub {^S_AXI_(\w+)_FPD$} $name {\1}]]
            set found {}
            foreach {segment offset range} [catalog::memory $name $high] { lappend found $cell/SAXIGP$index/$segment $offset $range }
            return $found
        }
        set map [expr {[definition $cell] eq [dict get $hls name] ? $name : "S_AXI"}]
        return [list $cell/$map/Reg "" 0]
    }

    # Masters with an address space: space name and interface.
    proc spaces {} {
        variable cells
        variable hls
        set found {}
        dict for {cell -} $cells {
            dict for {name interface} [interfaces $cell] {
                if {[lindex $interface 0] ne "master"} { continue }
                if {[definition $cell] eq "zynq_ultra_ps_e"} { lappend found $cell/Data $cell/$name }
                if {[definition $cell] eq [dict get $hls name]} { lappend found $cell/Data_$name $cell/$name }
            }
        }
        return $found
    }

    proc frequency {pin} {
        lassign [split $pin /] cell
        set p [parameters $cell]
        if {[definition $cell] eq "clk_wiz"} { return [dict get $p CLKOUT1_REQUESTED_OUT_FREQ] }
        return [actual_frequency $p]
    }

    # The PL clock that the divisors give: a 1500 MHz IOPLL by whole numbers, from below.
    proc actual_frequency {p} {
        set wanted [dict get $p PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ]
        return [format %.6f [expr {1499.985 / ceil(1499.985 / ($wanted * 1.0001))}]]
    }
}

proc create_bd_design {args} {
    set found [check::arguments create_bd_design $args {-quiet} {-dir} {1 1}]
    project::need create_bd_design
    set bd::open 1
    set bd::name [dict get $found rest]
}

proc get_ipdefs {args} {
    set found [check::arguments get_ipdefs $args {-quiet -all} {-filter -of_objects} {0 1}]
    set known {}
    foreach name [catalog::names] { lappend known xilinx.com:ip:$name:[catalog::version_of $name] }
    if {[dict exists $bd::hls vlnv]} { lappend known [dict get $bd::hls vlnv] }
    set pattern [lindex [dict get $found rest] 0]
    if {[dict exists $found -filter] && ![regexp {^VLNV =~ (\S+)$} [dict get $found -filter] - pattern]} {
        check::refuse "get_ipdefs: the checker reads filters of the form VLNV =~ pattern"
    }
    return [lsearch -all -inline -glob $known [expr {$pattern eq "" ? "*" : $pattern}]]
}

proc create_bd_cell {args} {
    bd::need create_bd_cell
    set found [check::arguments create_bd_cell $args {} {-type -vlnv -reference} {1 1}]
    set name [dict get $found rest]
    check::choose create_bd_cell -type [check::value $found -type ip] {ip}
    set vlnv [check::value $found -vlnv ""]
    if {$vlnv ni [get_ipdefs -all]} { check::refuse "create_bd_cell: there is no IP $vlnv in version $check::version" }
    if {[dict exists $bd::cells $name]} { check::refuse "create_bd_cell: there is a cell $name already" }
    set definition [lindex [split $vlnv :] 2]
    dict set bd::cells $name [list $definition [catalog::defaults $definition]]
    check::note cell $name $vlnv
    return $name
}

proc get_bd_cells {args} {
    set found [check::arguments get_bd_cells $args {-quiet} {-of_objects -filter} {0 1}]
    set name [string trimleft [lindex [dict get $found rest] 0] /]
    if {![dict exists $bd::cells $name]} { check::refuse "get_bd_cells: there is no cell $name" }
    return $name
}

proc apply_bd_automation {args} {
    bd::need apply_bd_automation
    set found [check::arguments apply_bd_automation $args {} {-rule -config} {1 1}]
    check::choose apply_bd_automation -rule [check::value $found -rule ""] {xilinx.com:bd_rule:zynq_ultra_ps_e}
    set cell [dict get $found rest]
    if {![dict exists $bd::cells $cell]} { check::refuse "apply_bd_automation: there is no cell $cell" }
    if {![dict exists [dict get $found -config] apply_board_preset]} { check::refuse "apply_bd_automation: -config has no apply_board_preset" }
    if {$project::board_part eq ""} { check::refuse "apply_bd_automation: the project has no board_part whose preset could be applied" }
    set bd::preset 1
}

# CONFIG parameters of a cell.
proc bd::set_parameters {cell settings} {
    variable cells
    need set_property
    set p [parameters $cell]
    foreach {name value} $settings {
        if {![regexp {^CONFIG\.(\S+)$} $name - parameter]} { check::refuse "set_property: a cell's property is CONFIG.<parameter>, not $name" }
        catalog::check_value [definition $cell] $parameter $value
        dict set p $parameter $value
        check::note parameter $cell $parameter $value
    }
    dict set cells $cell [list [definition $cell] $p]
}

proc get_bd_pins {args} {
    set found [check::arguments get_bd_pins $args {-quiet} {-of_objects} {1 1}]
    return [bd::find get_bd_pins bd::pins pin [dict get $found rest] [dict exists $found -quiet]]
}

proc get_bd_intf_pins {args} {
    set found [check::arguments get_bd_intf_pins $args {-quiet} {-of_objects} {1 1}]
    return [bd::find get_bd_intf_pins bd::interfaces interface [dict get $found rest] [dict exists $found -quiet]]
}

proc connect_bd_net {args} {
    bd::need connect_bd_net
    set found [check::arguments connect_bd_net $args {} {-net} {2 64}]
    set pins [dict get $found rest]
    set net ""
    foreach pin $pins {
        if {[dict exists $bd::nets $pin]} {
            if {$net ne "" && $net ne [dict get $bd::nets $pin]} { check::refuse "connect_bd_net: [join $pins { and }] are on different nets" }
            set net [dict get $bd::nets $pin]
        }
    }
    if {$net eq ""} { set net net[incr bd::count] }
    foreach pin $pins {
        lassign [bd::thing bd::pins $pin] direction width kind
        if {$direction eq "out"} {
            if {[dict exists $bd::drivers $net] && [dict get $bd::drivers $net] ne $pin} { check::refuse "connect_bd_net: $pin and [dict get $bd::drivers $net] drive one net" }
            dict set bd::drivers $net $pin
        }
        dict set bd::nets $pin $net
    }
    if {![dict exists $bd::drivers $net]} { check::refuse "connect_bd_net: nothing drives [join $pins { and }]" }
    set driver [dict get $bd::drivers $net]
    lassign [bd::thing bd::pins $driver] - source_width source_kind
    foreach pin $pins {
        lassign [bd::thing bd::pins $pin] direction width kind
        if {$direction eq "out"} { continue }
        if {$width && $width != $source_width} { check::refuse "connect_bd_net: $pin has $width bits, $driver has $source_width" }
        if {[string trimright $kind ?] ne $source_kind} { check::refuse "connect_bd_net: $pin is a [string trimright $kind ?] pin, $driver a $source_kind pin" }
        check::note net $driver $pin
    }
}

proc connect_bd_intf_net {args} {
    bd::need connect_bd_intf_net
    set found [check::arguments connect_bd_intf_net $args {} {-intf_net} {2 2}]
    lassign [dict get $found rest] one other
    lassign [list [bd::thing bd::interfaces $one] [bd::thing bd::interfaces $other]] first second
    if {[lindex $first 0] eq [lindex $second 0]} { check::refuse "connect_bd_intf_net: $one and $other are both [lindex $first 0]s" }
    foreach interface [list $one $other] {
        if {[dict exists $bd::buses $interface]} { check::refuse "connect_bd_intf_net: $interface is connected already" }
    }
    if {[lindex $first 0] eq "slave"} { lassign [list $other $one] one other }
    dict set bd::buses $one $other
    dict set bd::buses $other $one
    check::note bus $one $other
}

proc get_bd_addr_spaces {args} {
    set found [check::arguments get_bd_addr_spaces $args {-quiet} {-of_objects} {1 1}]
    set name [string trimleft [dict get $found rest] /]
    if {![dict exists [bd::spaces] $name]} { check::refuse "get_bd_addr_spaces: there is no address space $name" }
    return $name
}

proc get_bd_addr_segs {args} {
    set found [check::arguments get_bd_addr_segs $args {-quiet} {-of_objects} {1 1}]
    set name [string trimleft [dict get $found rest] /]
    foreach {- master} [bd::spaces] {
        foreach slave [bd::reached $master] {
            if {$name in [bd::segments $slave]} { return $name }
        }
    }
    if {[dict exists $found -quiet]} { return {} }
    check::refuse "get_bd_addr_segs: there is no segment $name that a master reaches"
}

proc assign_bd_address {args} {
    bd::need assign_bd_address
    set found [check::arguments assign_bd_address $args {-force} {-offset -range -target_address_space} {1 1}]
    set segment [dict get $found rest]
    foreach option {-offset -range -target_address_space} {
        if {[check::value $found $option ""] eq ""} { check::refuse "assign_bd_address: $segment needs $option" }
    }
    set space [dict get $found -target_address_space]
    set offset [expr {[dict get $found -offset]}]
    set range [expr {[dict get $found -range]}]
    if {$range < 4096 || ($range & ($range - 1))} { check::refuse "assign_bd_address: a range is a power of two of at least 4 KiB, not [dict get $found -range]" }
    if {$offset % $range} { check::refuse "assign_bd_address: [dict get $found -offset] is no multiple of the range [dict get $found -range]" }
    set within 0
    foreach {name master} [bd::spaces] {
        if {$name ne $space} { continue }
        foreach slave [bd::reached $master] {
            foreach {candidate fixed size} [bd::segments $slave] {
                if {$candidate ne $segment} { continue }
                set within 1
                if {$fixed ne "" && ($offset != $fixed || $range > $size)} { check::refuse "assign_bd_address: $segment lies at $fixed, [format 0x%X $size] bytes" }
                set windows [catalog::windows [lindex [split $master /] 1]]
                set inside [expr {![llength $windows]}]
                foreach {low high} $windows { if {$offset >= $low && $offset + $range - 1 <= $high} { set inside 1 } }
                if {!$inside} { check::refuse "assign_bd_address: [dict get $found -offset] is outside of what [lindex [split $master /] 1] decodes" }
            }
        }
    }
    if {!$within} { check::refuse "assign_bd_address: $space does not reach $segment" }
    foreach {other start size} [check::value $bd::assigned $space {}] {
        if {$offset < $start + $size && $start < $offset + $range} { check::refuse "assign_bd_address: $segment and $other overlap in $space" }
        if {$other eq $segment} { check::refuse "assign_bd_address: $segment has an address in $space already" }
    }
    dict lappend bd::assigned $space $segment $offset $range
    check::note address $space $segment $offset $range
}

proc exclude_bd_addr_seg {args} {
    bd::need exclude_bd_addr_seg
    set found [check::arguments exclude_bd_addr_seg $args {} {-target_address_space} {1 1}]
    if {![dict exists $found -target_address_space]} { check::refuse "exclude_bd_addr_seg needs -target_address_space" }
    dict lappend bd::excluded [dict get $found -target_address_space] [dict get $found rest]
}

proc validate_bd_design {args} {
    check::arguments validate_bd_design $args {-force -quiet} {} {0 1}
    if {!$bd::open} { check::refuse "validate_bd_design comes before create_bd_design" }
    if {!$bd::preset} { check::refuse "validate_bd_design: the board's preset was not applied, so memory and pins of the processing system are not set" }
    bd::check_pins
    bd::check_buses
    bd::check_addresses
    bd::check_clock
    set bd::validated 1
}

proc bd::check_pins {} {
    variable cells
    variable nets
    dict for {cell -} $cells {
        dict for {name pin} [pins $cell] {
            lassign $pin direction width kind
            if {$direction eq "in" && ![string match *\\? $kind] && ![dict exists $nets $cell/$name]} {
                check::refuse "validate_bd_design: the $kind pin $cell/$name is not connected"
            }
        }
    }
}

proc bd::check_buses {} {
    variable cells
    variable buses
    variable hls
    dict for {cell -} $cells {
        dict for {name interface} [interfaces $cell] {
            if {![dict exists $buses $cell/$name]} { check::refuse "validate_bd_design: the interface $cell/$name is not connected" }
            set other [dict get $buses $cell/$name]
            if {[clock_net $cell/$name] ne [clock_net $other]} { check::refuse "validate_bd_design: $cell/$name and $other are on different clocks" }
        }
    }
    foreach {space master} [spaces] {
        lassign [split $master /] cell
        if {[definition $cell] ne [dict get $hls name]} { continue }
        set width [lindex [thing interfaces $master] 1]
        foreach slave [reached $master] {
            set other [lindex [thing interfaces $slave] 1]
            if {$width != $other} { check::refuse "validate_bd_design: $master has $width bits, $slave has $other" }
        }
    }
}

proc bd::check_addresses {} {
    variable assigned
    variable excluded
    foreach {space master} [spaces] {
        foreach slave [reached $master] {
            foreach {segment - -} [segments $slave] {
                if {$segment ni [check::value $assigned $space {}] && $segment ni [check::value $excluded $space {}]} {
                    check::refuse "validate_bd_design: $segment has no address in $space and is not excluded"
                }
            }
        }
    }
}

# The accelerator must get the clock that it was synthesised for, and a wizard the input that it was told.
proc bd::check_clock {} {
    variable cells
    variable hls
    variable nets
    variable drivers
    dict for {cell -} $cells {
        if {[definition $cell] eq [dict get $hls name]} {
            set got [frequency [dict get $drivers [dict get $nets $cell/ap_clk]]]
            set wanted [expr {1000.0 / [dict get $hls period]}]
            if {[dict get $hls part] ne $project::part} { check::refuse "validate_bd_design: $cell was synthesised for [dict get $hls part], the project has $project::part" }
            if {abs($got / $wanted - 1) > 0.001} { check::refuse "validate_bd_design: $cell runs at [format %.1f $got] MHz and was synthesised for [format %.1f $wanted] MHz" }
        }
        if {[definition $cell] eq "clk_wiz"} {
            set got [frequency [dict get $drivers [dict get $nets $cell/clk_in1]]]
            set wanted [dict get [parameters $cell] PRIM_IN_FREQ]
            if {abs($got / $wanted - 1) > 0.001} { check::refuse "validate_bd_design: $cell gets [format %.1f $got] MHz and expects $wanted MHz" }
        }
    }
}

proc save_bd_design {args} {
    check::arguments save_bd_design $args {-quiet} {} {0 1}
    if {!$bd::validated} { check::refuse "save_bd_design comes before validate_bd_design" }
    set bd::saved 1
    check::touch vivado/peelvit.srcs/sources_1/bd/$bd::name/$bd::name.bd
}
