"""The flow: one run directory, its stages, and what runs them."""
