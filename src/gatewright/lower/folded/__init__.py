"""Time-multiplexed dense layers: their plan, adder tree, and place in the chain of pieces."""
