"""Programs whose values are images or signals in, units that work on streams of pixels out (docs/streaming.md)."""
