# Synthesises every HLS layer of the accelerator, one project a layer, as FINN's own script of one layer does:
#
#   vitis_hls synthesise.tcl               (Vitis HLS 2022.2 to 2024.2)
#   vitis-run --mode hls --tcl synthesise.tcl                  (later)
#
# Run in this folder, with finn-hlslib's folder in the environment variable FINN_HLSLIB. Verilog of LAYER is then in
# LAYER/project_LAYER/sol1/impl/verilog.
source layers.tcl ;# sets layers, part and period
set library $::env(FINN_HLSLIB)

foreach layer $layers {
  cd $layer
  open_project -reset project_$layer
  add_files top_$layer.cpp -cflags "-std=c++14 -I$library"
  set_top $layer
  open_solution sol1
  set_part $part
  set_param hls.enable_hidden_option_error false
  config_compile -disable_unroll_code_size_check -pipeline_style flp
  config_interface -m_axi_addr64
  config_rtl -module_auto_prefix
  config_rtl -deadlock_detection none
  create_clock -period $period -name default
  csynth_design
  export_design -format ip_catalog
  close_project
  cd ..
}
exit 0
