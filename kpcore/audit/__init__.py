"""A data set looked at: check, summary, pictures, leaks."""
