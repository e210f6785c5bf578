"""Predictions in; metrics, curves and choices out."""
