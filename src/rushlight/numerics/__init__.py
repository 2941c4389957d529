"""Special functions of float64 arrays, which NumPy lacks."""
