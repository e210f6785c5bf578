"""A design between the two streams of a DMA, as PYNQ drives it: counters, overlay, driver, notebook."""
