"""The stages of the flow, by what they make: networks, a program, hardware. flow/run.py puts them in order."""
