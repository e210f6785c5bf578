"""The command line: one thin command per stage, for models and for the search."""
