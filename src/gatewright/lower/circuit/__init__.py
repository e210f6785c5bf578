"""The circuit: scalar integer operations with exact ranges, and who reads which bits."""
