# What the checking commands share: the tool version, arguments by a table, the one error, and a record of what was done.
#
#     tclsh run.tcl TOOL VERSION SCRIPT RECORD      TOOL is hls or vivado
#
# A checking command takes what the documented one takes and refuses everything else with one sentence.
namespace eval check {
    variable version ""
    variable record {}

    # Stop with one sentence. `catch` in a script must not hide it, so it is kept as well.
    proc refuse {sentence} {
        note refused $sentence
        finish 1
    }

    # A line of the record that the Python side reads: a kind and its values, separated by tabs.
    proc note {args} {
        variable record
        lappend record [join $args "\t"]
    }

    proc finish {code} {
        variable record
        variable place
        note exit $code
        set file [open $place w]
        puts $file [join $record "\n"]
        close $file
        ::check::leave 0
    }

    proc from {wanted} {
        variable version
        return [expr {[package vcompare $version $wanted] >= 0}]
    }

    # Arguments of `command` by its table: `flags` take nothing, `options` take a value, `count` is {least most} of the
    # rest. Gives a dict of those that were there, flags with 1, the rest under `rest`.
    proc arguments {command given flags options count} {
        set found {rest {}}
        set most [llength $given]
        for {set i 0} {$i < $most} {incr i} {
            set word [lindex $given $i]
            if {![regexp {^-[A-Za-z]} $word]} {
                dict lappend found rest $word
                continue
            }
            if {$word in $flags} {
                dict set found $word 1
            } elseif {$word in $options} {
                if {[incr i] >= $most} { refuse "$command $word needs a value" }
                dict set found $word [lindex $given $i]
            } else {
                refuse "$command has no option $word in version $check::version"
            }
        }
        set rest [llength [dict get $found rest]]
        lassign $count least greatest
        if {$rest < $least || $rest > $greatest} { refuse "$command takes $least to $greatest values, not $rest" }
        return $found
    }

    proc value {found option default} {
        return [expr {[dict exists $found $option] ? [dict get $found $option] : $default}]
    }

    proc choose {command option given known} {
        if {$given ni $known} { refuse "$command $option cannot be $given; it is one of [join $known {, }]" }
    }

    proc number {command option given least} {
        if {![string is double -strict $given] || $given < $least} { refuse "$command $option must be at least $least, not $given" }
    }

    proc touch {path {text ""}} {
        file mkdir [file dirname $path]
        set file [open $path w]
        puts $file $text
        close $file
    }

    proc content {path} {
        set file [open $path]
        set text [read $file]
        close $file
        return $text
    }
}
