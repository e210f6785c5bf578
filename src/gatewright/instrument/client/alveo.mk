# Makes @name@.xclbin and its host: needs Vitis (settings64.sh) and XRT (setup.sh). Never run in Vitis.
#
#     make PLATFORM=/opt/xilinx/platforms/NAME/NAME.xpfm PART=xcu55c-fsvh2892-2L-e
#     make PLATFORM=... PART=... TARGET=hw_emu emconfig.json; XCL_EMULATION_MODE=hw_emu ./host_xrt @name@.xclbin
PLATFORM ?=
PART ?= xcu55c-fsvh2892-2L-e
TARGET ?= hw
XILINX_XRT ?= /opt/xilinx/xrt

all: @name@.xclbin host_xrt

@name@.xo: package_xo.tcl kernel.xml $(wildcard verilog/*)
	vivado -mode batch -source package_xo.tcl -tclargs $(PART)

@name@.xclbin: @name@.xo link.cfg
	v++ --link -t $(TARGET) --platform $(PLATFORM) --config link.cfg @name@.xo -o $@

emconfig.json:
	emconfigutil --platform $(PLATFORM)

gk.o: client/gk.c client/gk.h client/gw.h client/gw_codes.h client/gw_registers.h
	$(CC) -std=c99 -O2 -Wall -Wextra -ffp-contract=off -Iclient -c $< -o $@

@name@.o: client/@name@.c client/@name@.h
	$(CC) -std=c99 -O2 -Wall -Wextra -Iclient -c $< -o $@

host_xrt: host/host_xrt.cpp gk.o @name@.o
	$(CXX) -std=c++17 -O2 -Wall -Wextra -Iclient -I$(XILINX_XRT)/include $^ -L$(XILINX_XRT)/lib -lxrt_coreutil -pthread -o $@

.PHONY: all
