"""Graph: a model from anywhere as a list of nodes with float64 meaning; NumPy only."""
