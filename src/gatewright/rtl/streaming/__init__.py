"""Units on streams of pixels in, their modules, core and AXI4-Stream shell out."""
