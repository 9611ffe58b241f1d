"""What a score is worth: intervals, differences, verdicts, convergence. NumPy and SciPy alone, no torch."""
