# Run one script of the project with the commands of `hls` or `vivado` replaced by checking ones (common.tcl).
set folder [file dirname [file normalize [info script]]]
lassign $argv tool version script place
source $folder/common.tcl
set check::version $version
set check::place [file normalize $place]
rename exit check::leave
proc exit {{code 0}} { check::finish $code }
if {$tool eq "hls"} {
    source $folder/vitis_hls.tcl
} else {
    source $folder/catalog.tcl
    source $folder/block_design.tcl
    source $folder/vivado.tcl
}
# As in the tools, the script's own place is its name as given, and the tools' arguments are not ours.
set script [file normalize $script]
set argv {}
if {[catch {source $script} problem]} { check::refuse [lindex [split $problem "\n"] 0] }
check::refuse "[file tail $script] does not end with exit"
