"""Circuit in, equal circuit out."""
