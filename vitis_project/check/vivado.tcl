# Project, run and report commands of Vivado (UG835) that the scripts use, as checks. Runs leave stand-ins behind: a
# bitstream and a hardware handoff without content. CHECK_BOARDS of the environment replaces the installed boards. Their slacks are CHECK_SLACK (setup) and CHECK_HOLD of the environment (default 0.1 ns), and a
# run fails when CHECK_RUN names it.
namespace eval project {
    variable open 0 part "" board_part "" repository "" wrapper "" top "" generated 0
    variable runs {}        ;# name -> {strategy progress bitstream}
    variable opened ""
    variable waiting {}     ;# run -> progress once it was waited for
    variable active impl_1  ;# the run that a hardware platform takes its bitstream of

    proc need {command} {
        variable open
        if {!$open} { check::refuse "$command comes before create_project or open_project" }
    }

    proc save {} {
        variable generated; variable top; variable wrapper; variable runs
        check::touch vivado/peelvit.xpr [list $generated $top $wrapper $runs]
    }
}

proc create_project {args} {
    set found [check::arguments create_project $args {-force -in_memory} {-part} {1 2}]
    lassign [dict get $found rest] name folder
    if {[file exists $folder/$name.xpr] && ![dict exists $found -force]} { check::refuse "create_project: $folder/$name.xpr exists" }
    if {![regexp {^xc\w+-\w+-[123]\w*-\w+$} [check::value $found -part ""]]} { check::refuse "create_project: [check::value $found -part {}] is no part" }
    set project::part [dict get $found -part]
    set project::open 1
    check::touch $folder/$name.xpr
    set project::runs {synth_1 {"Vivado Synthesis Defaults" 0% 0} impl_1 {"Vivado Implementation Defaults" 0% 0}}
}

proc open_project {args} {
    set path [dict get [check::arguments open_project $args {} {} {1 1}] rest]
    if {![file exists $path]} { check::refuse "open_project: there is no $path" }
    lassign [string trim [check::content $path]] project::generated project::top project::wrapper project::runs
    if {$project::top eq ""} { check::refuse "open_project: $path was not finished" }
    set project::open 1
}

proc current_project {args} { project::need current_project; return current_project }
proc current_fileset {args} { project::need current_fileset; return sources_1 }

# One board each, with its part and its memory above 4 GiB.
proc get_board_parts {args} {
    set found [check::arguments get_board_parts $args {-quiet -latest_file_version} {-filter} {0 1}]
    if {[info exists ::env(CHECK_BOARDS)]} { return $::env(CHECK_BOARDS) }
    set known {xilinx.com:zcu102:part0:3.3 xilinx.com:zcu102:part0:3.4 xilinx.com:zcu104:part0:1.1 xilinx.com:kv260_som:part0:1.2}
    return [lsearch -all -inline -glob $known [dict get $found rest]]
}

proc set_property {args} {
    set found [check::arguments set_property $args {} {-dict} {1 3}]
    set rest [dict get $found rest]
    if {[dict exists $found -dict]} {
        set settings [dict get $found -dict]
        if {[llength $rest] != 1 || [llength $settings] % 2} { check::refuse "set_property -dict takes pairs and one object" }
    } else {
        if {[llength $rest] != 3} { check::refuse "set_property takes a name, a value and an object" }
        set settings [lrange $rest 0 1]
    }
    set object [lindex $rest end]
    if {[dict exists $bd::cells $object]} { return [bd::set_parameters $object $settings] }
    foreach {name value} $settings {
        switch $object/$name {
            current_project/board_part {
                if {$value ni [get_board_parts *]} { check::refuse "set_property board_part: there is no board $value" }
                set parts {zcu102 xczu9eg-ffvb1156-2-e zcu104 xczu7ev-ffvc1156-2-e kv260_som xck26-sfvc784-2LV-c}
                set board [lindex [split $value :] 1]
                if {[dict get $parts $board] ne $project::part} { check::refuse "set_property board_part: $board has the part [dict get $parts $board], the project has $project::part" }
                set project::board_part $value
                set bd::high [dict get {zcu102 0x80000000 zcu104 0 kv260_som 0x80000000} $board]
            }
            current_project/ip_repo_paths { set project::repository $value }
            sources_1/top {
                if {![file exists $project::wrapper] || [file rootname [file tail $project::wrapper]] ne $value} { check::refuse "set_property top: there is no module $value" }
                set project::top $value
                project::save
            }
            default {
                if {[dict exists $project::runs $object] && $name eq "strategy"} {
                    check::choose "set_property strategy" $object $value [catalog::strategies]
                    dict set project::runs $object [lreplace [dict get $project::runs $object] 0 0 $value]
                } else {
                    check::refuse "set_property: $object has no property $name that the checker knows"
                }
            }
        }
    }
}

proc get_property {args} {
    set found [check::arguments get_property $args {-quiet} {} {2 2}]
    lassign [dict get $found rest] name object
    if {[dict exists $bd::cells $object]} {
        set p [bd::parameters $object]
        if {$name eq "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ"} { return [bd::actual_frequency $p] }
        if {![dict exists $p [string range $name 7 end]]} { check::refuse "get_property: $object has no property $name" }
        return [dict get $p [string range $name 7 end]]
    }
    if {![dict exists $project::runs $object]} { check::refuse "get_property: there is no object $object" }
    lassign [dict get $project::runs $object] strategy progress
    switch $name {
        PROGRESS { return $progress }
        STATUS { return [expr {$progress eq "100%" ? "Complete!" : "Failed"}] }
        STATS.WNS { return [project::slack] }
        STATS.WHS { return [expr {[info exists ::env(CHECK_HOLD)] ? $::env(CHECK_HOLD) : 0.01}] }
        default { check::refuse "get_property: a run has no property $name that the checker knows" }
    }
}

proc project::slack {} {
    return [expr {[info exists ::env(CHECK_SLACK)] ? $::env(CHECK_SLACK) : 0.1}]
}

# Read the accelerator's IP-XACT from the repository.
proc update_ip_catalog {args} {
    check::arguments update_ip_catalog $args {-rebuild -quiet} {} {0 0}
    set path $project::repository/component.xml
    if {![file exists $path]} { check::refuse "update_ip_catalog: there is no IP in $project::repository" }
    set text [check::content $path]
    foreach tag {vendor library name version} { regexp "<spirit:$tag>(\[^<\]*)<" $text - value; lappend vlnv $value }
    regexp {clk_period</spirit:name><spirit:value>([^<]*)<} $text - period
    regexp {part</spirit:name><spirit:value>([^<]*)<} $text - part
    set interfaces {}
    foreach {- name mode} [regexp -all -inline {<spirit:busInterface><spirit:name>(\w+)</spirit:name><spirit:(\w+)/>} $text] {
        dict set interfaces $name [list $mode [expr {$mode eq "master" ? 128 : 32}] ap_clk]
    }
    set bd::hls [dict create name [lindex $vlnv 2] vlnv [join $vlnv :] period $period part $part interfaces $interfaces \
        pins {ap_clk {in 1 clock} ap_rst_n {in 1 reset} interrupt {out 1 interrupt}}]
}

proc get_files {args} {
    set found [check::arguments get_files $args {-quiet -all} {-of_objects} {1 1}]
    set name [dict get $found rest]
    if {$name ne "$bd::name.bd" || !$bd::saved} { check::refuse "get_files: there is no saved file $name" }
    return vivado/peelvit.srcs/sources_1/bd/$bd::name/$name
}

proc generate_target {args} {
    set found [check::arguments generate_target $args {-force -quiet} {} {2 2}]
    check::choose generate_target target [lindex [dict get $found rest] 0] {all synthesis simulation}
    set project::generated 1
    check::touch vivado/peelvit.gen/sources_1/bd/$bd::name/hw_handoff/$bd::name.hwh
}

proc make_wrapper {args} {
    set found [check::arguments make_wrapper $args {-top -import -force} {-files} {0 0}]
    if {![dict exists $found -files] || ![dict exists $found -top]} { check::refuse "make_wrapper needs -files and -top" }
    set project::wrapper vivado/peelvit.gen/sources_1/bd/$bd::name/hdl/${bd::name}_wrapper.v
    check::touch $project::wrapper
    return $project::wrapper
}

proc add_files {args} {
    set found [check::arguments add_files $args {-norecurse -quiet} {-fileset} {1 1}]
    foreach path [dict get $found rest] { if {![file exists $path]} { check::refuse "add_files: there is no file $path" } }
}

proc update_compile_order {args} { check::arguments update_compile_order $args {-quiet} {-fileset} {0 0} }

proc get_runs {args} {
    set found [check::arguments get_runs $args {-quiet} {-filter} {0 1}]
    project::need get_runs
    set pattern [lindex [dict get $found rest] 0]
    set names [lsearch -all -inline -glob [dict keys $project::runs] [expr {$pattern eq "" ? "*" : $pattern}]]
    if {![llength $names] && ![dict exists $found -quiet]} { check::refuse "get_runs: there is no run $pattern" }
    return $names
}

proc create_run {args} {
    set found [check::arguments create_run $args {} {-parent_run -flow -strategy -part} {1 1}]
    set name [dict get $found rest]
    if {[dict exists $project::runs $name]} { check::refuse "create_run: there is a run $name already" }
    if {[check::value $found -flow ""] ne "Vivado Implementation [string range $check::version 0 3]"} { check::refuse "create_run: version $check::version has no flow [check::value $found -flow {}]" }
    if {![dict exists $project::runs [check::value $found -parent_run ""]]} { check::refuse "create_run: there is no run [check::value $found -parent_run {}]" }
    dict set project::runs $name {"Vivado Implementation Defaults" 0% 0}
}

proc project::run {command name} {
    variable runs
    need $command
    if {![dict exists $runs $name]} { check::refuse "$command: there is no run $name" }
}

proc reset_run {args} {
    set name [dict get [check::arguments reset_run $args {-prev_step -noclean_dir} {-from_step} {1 1}] rest]
    project::run reset_run $name
    dict set project::runs $name [lreplace [dict get $project::runs $name] 1 2 0% 0]
    project::save
}

proc launch_runs {args} {
    set found [check::arguments launch_runs $args {-force -next_step} {-jobs -to_step -dir} {1 8}]
    check::number launch_runs -jobs [check::value $found -jobs 1] 1
    if {!$project::generated || $project::top eq ""} { check::refuse "launch_runs: the block design has no output products, or the project no top" }
    foreach name [dict get $found rest] {
        project::run launch_runs $name
        lassign [dict get $project::runs $name] strategy progress bitstream
        if {[string match impl_* $name] && [lindex [dict get $project::runs synth_1] 1] ne "100%"} { check::refuse "launch_runs: $name needs synth_1 to be complete" }
        if {[dict exists $found -to_step]} {
            check::choose launch_runs -to_step [dict get $found -to_step] {opt_design place_design phys_opt_design route_design write_bitstream}
            if {$progress eq "100%" && ([project::slack] < 0 || [get_property STATS.WHS $name] < 0)} { check::refuse "launch_runs: a bitstream is written although timing fails" }
            set bitstream 1
        }
        set failed [expr {[info exists ::env(CHECK_RUN)] && $::env(CHECK_RUN) eq $name}]
        # A run goes on in the background: its progress shows once it was waited for.
        dict set project::runs $name [list $strategy 0% $bitstream]
        dict set project::waiting $name [expr {$failed ? "34%" : "100%"}]
        if {$bitstream} { check::touch vivado/peelvit.runs/$name/$project::top.bit }
    }
    project::save
}

proc wait_on_run {args} {
    set name [dict get [check::arguments wait_on_run $args {-quiet} {-timeout} {1 1}] rest]
    project::run wait_on_run $name
    if {![dict exists $project::waiting $name]} { check::refuse "wait_on_run: $name was not launched" }
    dict set project::runs $name [lreplace [dict get $project::runs $name] 1 1 [dict get $project::waiting $name]]
    dict unset project::waiting $name
    project::save
}

proc current_run {args} {
    set name [dict get [check::arguments current_run $args {-quiet -synthesis -implementation} {} {1 1}] rest]
    project::run current_run $name
    set project::active $name
}

proc open_run {args} {
    set name [dict get [check::arguments open_run $args {-quiet} {-name} {1 1}] rest]
    project::run open_run $name
    if {[lindex [dict get $project::runs $name] 1] ne "100%"} { check::refuse "open_run: $name has not ended" }
    set project::opened $name
}

proc project::report {command arguments flags options} {
    variable opened
    set found [check::arguments $command $arguments [concat $flags {-quiet}] [concat $options {-file}] {0 0}]
    if {$opened eq ""} { check::refuse "$command comes before open_run" }
    if {![dict exists $found -file]} { check::refuse "$command needs -file" }
    set folder [file dirname [dict get $found -file]]
    if {![file isdirectory $folder]} { check::refuse "$command: the folder $folder does not exist" }
    check::touch [dict get $found -file]
}

proc report_timing_summary {args} {
    project::report report_timing_summary $args {-no_detailed_paths -warn_on_violation -report_unconstrained} {-max_paths -nworst -delay_type -rpx}
}
proc report_utilization {args} {
    project::report report_utilization $args {-hierarchical -hierarchical_percentages} {-hierarchical_depth -cells -pblocks}
}
proc report_power {args} { project::report report_power $args {-no_propagation -hier} {-xpe -hierarchical_depth} }

proc write_hw_platform {args} {
    set found [check::arguments write_hw_platform $args {-fixed -force -include_bit -minimal -hw -hw_emu -include_sim_content} {} {1 1}]
    set path [dict get $found rest]
    if {[file extension $path] ne ".xsa"} { check::refuse "write_hw_platform: $path does not end in .xsa" }
    if {![dict exists $found -include_bit]} { check::refuse "write_hw_platform: without -include_bit the platform has no bitstream" }
    if {![dict exists $found -fixed]} { check::refuse "write_hw_platform: PYNQ needs a -fixed platform" }
    if {$project::opened eq ""} { check::refuse "write_hw_platform comes before open_run" }
    if {[dict exists $found -include_bit] && ![lindex [dict get $project::runs $project::active] 2]} { check::refuse "write_hw_platform: there is no bitstream to include" }
    check::touch $path
}
