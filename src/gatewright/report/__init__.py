"""Results of a run in, one self-contained HTML page out; and the schema of results.json."""
