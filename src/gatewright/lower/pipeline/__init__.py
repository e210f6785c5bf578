"""Circuit and clock in, pipeline stages out."""
