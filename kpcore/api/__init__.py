"""Studies for Python programs and notebooks: opened, planned, run, and their results as records, frames and arrays."""
