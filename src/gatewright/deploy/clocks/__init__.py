"""A board's oscillator and the wanted clock in, the settings of the family's PLL out."""
