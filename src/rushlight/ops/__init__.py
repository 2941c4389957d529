"""What each operation is: types, shapes, NumPy meaning and derivative. Knows no target."""
