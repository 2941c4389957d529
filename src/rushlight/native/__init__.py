"""Native code: compiled, kept on disk, and run by threads; the facts of the machine that it is for."""
