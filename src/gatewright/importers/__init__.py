"""Model files in, Graphs out: one module per format."""
