# Stands in for Vivado: the commands of UG835 that build.tcl may use, each recorded and answered, none carried out.
#
# A line of calls.txt is a call, its words separated by tabs. Variables that a test sets before: board_files (what
# get_board_parts finds), progress (of every run), ips (patterns of IP that there is).

set calls [open calls.txt w]
set known {
    add_files apply_bd_automation assign_bd_address connect_bd_intf_net connect_bd_net create_bd_cell
    create_bd_design create_project current_fileset current_project generate_target get_bd_addr_segs
    get_bd_addr_spaces get_bd_cells get_bd_intf_pins get_bd_intf_ports get_bd_pins get_board_parts get_files
    get_ipdefs get_property get_runs launch_runs make_bd_intf_pins_external make_wrapper open_run
    report_timing_summary report_utilization save_bd_design set_property update_compile_order validate_bd_design
    wait_on_runs
}

proc unknown {command args} {
    if {$command ni $::known} { error "invalid command name \"$command\"" }
    puts $::calls [string map [list \n " "] [join [concat [list $command] $args] \t]]
    flush $::calls
    if {[llength [info procs answer_$command]]} { return [answer_$command {*}$args] }
    return [lindex $args end]
}

proc touch {path} {
    file mkdir [file dirname $path]
    close [open $path w]
}

# Two versions of every IP, so that the newest has to be chosen.
proc answer_get_ipdefs {args} {
    set pattern [lindex $args end]
    if {[lindex [split $pattern :] 2] ni $::ips} { return {} }
    return [list [string map {* 9.1} $pattern] [string map {* 10.0} $pattern]]
}
proc answer_get_board_parts {args} { return $::board_files }
proc answer_get_bd_intf_ports {args} { return {} }
proc answer_current_project {} { return accelerator }
proc answer_current_fileset {} { return sources_1 }
proc answer_get_property {name object} {
    switch $name {
        PROGRESS { return $::progress }
        STATUS { return "route_design ERROR" }
        DIRECTORY { return project/accelerator.runs/$object }
        STATS.WNS { return 0.125 }
    }
}
proc answer_generate_target {args} { touch project/accelerator.gen/sources_1/bd/top/hw_handoff/top.hwh }
proc answer_launch_runs {run args} { touch project/accelerator.runs/$run/top_wrapper.bit }
proc answer_report_utilization {option path} { touch $path }
proc answer_report_timing_summary {option path} { touch $path }
