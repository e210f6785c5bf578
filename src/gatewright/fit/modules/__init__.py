"""Trainable layers, their quantizers, and the stacks made of them."""
