"""Scores without labels: autoencoders and variational encoders, and their integer programs."""
