"""Units that work on streams of pixels, and when they move; `lower/tensor` makes them of programs."""
