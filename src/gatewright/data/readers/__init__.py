"""Readers: the data section of a configuration in, Raw samples and labels out."""
