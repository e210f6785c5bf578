"""How a host reaches the core: one file a link, its Verilog top and its host program."""
