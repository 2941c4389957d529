"""Native code: compiled, kept on disk, and run by threads."""
