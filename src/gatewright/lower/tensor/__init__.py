"""Programs whose values are images or signals in, dataflows of units on streams out (docs/streaming.md)."""
