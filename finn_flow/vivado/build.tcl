# The accelerator on a Zynq, from sources to a bitstream:   vivado -mode batch -source build.tcl
#
#   memory --> [HP port] --> axi_dma_0 --s_axis_0--> accelerator_0 --m_axis_0--> axi_dma_0 --> [HP port] --> memory
#
# It holds for every board; what differs from board to board and from network to network is in settings.tcl. Run it
# in its own folder, beside rtl/. It leaves finn-accel.bit, finn-accel.hwh, utilization.rpt and timing.rpt there.
# Needs Vivado 2022.2 or later.

source settings.tcl
set project accelerator
set design top
set jobs 4  ;# that run at a time

# --- helpers ---

# An IP of the newest version that this Vivado has, under a name of ours.
proc add_ip {type name args} {
    set vlnv [lindex [lsort -dictionary [get_ipdefs -all xilinx.com:ip:$type:*]] end]
    if {$vlnv eq ""} { error "this Vivado has no IP $type" }
    create_bd_cell -type ip -vlnv $vlnv $name
    if {[llength $args]} { set_property -dict $args [get_bd_cells $name] }
}

# A stream or a memory-mapped bus, from its master to its slave.
proc connect_bus {master slave} { connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $slave] }

# A wire, from the pin that drives it to all others.
proc connect_wire {driver args} {
    foreach pin $args { connect_bd_net [get_bd_pins $driver] [get_bd_pins $pin] }
}

# --- project ---

create_project -force $project project -part $part

# The preset of the board, if its files are installed. They need not be: PYNQ boots the processor from its own image,
# so that of its settings only those count that reach the fabric, and those are in settings.tcl.
set board_file [lindex [get_board_parts -quiet -latest_file_version $board_part] 0]
if {$board_file ne ""} { set_property board_part $board_file [current_project] }

add_files -norecurse [lsort [glob rtl/*]]
set_property file_type {Memory Initialization Files} [get_files *.dat]
update_compile_order -fileset sources_1

# --- cells ---

puts "== block design"
create_bd_design $design

add_ip $ps_ip zynq_ps
if {$board_file ne ""} {
    apply_bd_automation -rule xilinx.com:bd_rule:$ps_ip -config {apply_board_preset "1"} [get_bd_cells zynq_ps]
}
set_property -dict $ps_config [get_bd_cells zynq_ps]
foreach port $ps_external {
    if {![llength [get_bd_intf_ports -quiet $port]]} {
        make_bd_intf_pins_external -name $port [get_bd_intf_pins zynq_ps/$port]
    }
}

# The processor's clock is 100 MHz on every board; its dividers do not reach every other frequency, a PLL does.
add_ip clk_wiz clk_wiz_0 \
    CONFIG.PRIM_SOURCE No_buffer CONFIG.PRIM_IN_FREQ.VALUE_SRC PROPAGATED \
    CONFIG.CLKOUT1_REQUESTED_OUT_FREQ $clock_mhz CONFIG.USE_LOCKED true \
    CONFIG.USE_RESET true CONFIG.RESET_TYPE ACTIVE_LOW CONFIG.RESET_PORT resetn
add_ip proc_sys_reset proc_sys_reset_0

# Direct mode: what pynq.lib.dma drives with the length of one buffer, of at most 2**26 - 1 bytes.
add_ip axi_dma axi_dma_0 \
    CONFIG.c_include_sg 0 CONFIG.c_sg_length_width 26 CONFIG.c_addr_width 32 \
    CONFIG.c_include_mm2s 1 CONFIG.c_m_axis_mm2s_tdata_width $in_bits CONFIG.c_m_axi_mm2s_data_width $in_bits \
    CONFIG.c_include_s2mm 1 CONFIG.c_m_axi_s2mm_data_width $out_bits

# PYNQ finds an interrupt only through an interrupt controller.
add_ip axi_intc axi_intc_0 CONFIG.C_IRQ_CONNECTION 1
add_ip xlconcat xlconcat_0 CONFIG.NUM_PORTS 2

add_ip smartconnect smartconnect_control CONFIG.NUM_SI 1 CONFIG.NUM_MI 2
add_ip smartconnect smartconnect_memory CONFIG.NUM_SI 2 CONFIG.NUM_MI 1
create_bd_cell -type module -reference accelerator accelerator_0

# --- streams and buses ---

connect_bus axi_dma_0/M_AXIS_MM2S accelerator_0/s_axis_0
connect_bus accelerator_0/m_axis_0 axi_dma_0/S_AXIS_S2MM

connect_bus axi_dma_0/M_AXI_MM2S smartconnect_memory/S00_AXI
connect_bus axi_dma_0/M_AXI_S2MM smartconnect_memory/S01_AXI
connect_bus smartconnect_memory/M00_AXI zynq_ps/$ps_memory_port

connect_bus zynq_ps/$ps_control_port smartconnect_control/S00_AXI
connect_bus smartconnect_control/M00_AXI axi_dma_0/S_AXI_LITE
connect_bus smartconnect_control/M01_AXI axi_intc_0/s_axi

# --- clock, reset, interrupts ---

connect_wire zynq_ps/$ps_clock clk_wiz_0/clk_in1
connect_wire zynq_ps/$ps_reset clk_wiz_0/resetn proc_sys_reset_0/ext_reset_in
connect_wire clk_wiz_0/locked proc_sys_reset_0/dcm_locked
connect_wire clk_wiz_0/clk_out1 \
    proc_sys_reset_0/slowest_sync_clk \
    accelerator_0/ap_clk \
    axi_dma_0/s_axi_lite_aclk axi_dma_0/m_axi_mm2s_aclk axi_dma_0/m_axi_s2mm_aclk \
    axi_intc_0/s_axi_aclk \
    smartconnect_control/aclk smartconnect_memory/aclk \
    zynq_ps/$ps_control_clock zynq_ps/$ps_memory_clock
connect_wire proc_sys_reset_0/interconnect_aresetn smartconnect_control/aresetn smartconnect_memory/aresetn
connect_wire proc_sys_reset_0/peripheral_aresetn accelerator_0/ap_rst_n axi_dma_0/axi_resetn axi_intc_0/s_axi_aresetn

connect_wire axi_dma_0/mm2s_introut xlconcat_0/In0
connect_wire axi_dma_0/s2mm_introut xlconcat_0/In1
connect_wire xlconcat_0/dout axi_intc_0/intr
connect_wire axi_intc_0/irq zynq_ps/$ps_interrupt

# --- addresses ---

# The DMA reaches the memory at 0, up to 2 GB of it, where Linux puts the buffers that PYNQ allocates.
foreach space {Data_MM2S Data_S2MM} {
    assign_bd_address -target_address_space [get_bd_addr_spaces axi_dma_0/$space] \
        [get_bd_addr_segs zynq_ps/$ps_memory_segment]
}
set offset $ps_control_base
foreach segment {axi_dma_0/S_AXI_LITE/Reg axi_intc_0/S_AXI/Reg} {
    assign_bd_address -offset [format 0x%08X $offset] -range 0x10000 \
        -target_address_space [get_bd_addr_spaces zynq_ps/Data] [get_bd_addr_segs $segment]
    incr offset 0x10000
}

validate_bd_design
save_bd_design

# --- synthesis, implementation, bitstream ---

set design_file [get_files $design.bd]
make_wrapper -files $design_file -top -import
set_property top ${design}_wrapper [current_fileset]
generate_target all $design_file

proc finish_run {name args} {
    launch_runs $name {*}$args
    wait_on_runs $name
    if {[get_property PROGRESS [get_runs $name]] ne "100%"} {
        error "$name: [get_property STATUS [get_runs $name]]; see [get_property DIRECTORY [get_runs $name]]/runme.log"
    }
}

puts "== synthesis"
finish_run synth_1 -jobs $jobs
puts "== implementation"
finish_run impl_1 -to_step write_bitstream -jobs $jobs

puts "== reports"
open_run impl_1
report_utilization -file utilization.rpt
report_timing_summary -file timing.rpt

file copy -force [get_property DIRECTORY [get_runs impl_1]]/${design}_wrapper.bit finn-accel.bit
file copy -force [lindex [glob project/$project.gen/sources_1/bd/$design/hw_handoff/$design.hwh] 0] finn-accel.hwh
puts "finn-accel.bit is written; worst slack [get_property STATS.WNS [get_runs impl_1]] ns"
