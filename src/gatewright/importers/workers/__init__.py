"""Scripts that run a model file in the framework that made it, in an interpreter of its own; never imported here."""
