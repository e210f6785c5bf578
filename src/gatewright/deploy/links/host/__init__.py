"""Programs that run on the host beside a board; each is one file that works alone."""
