"""Benches and cost estimates: what this machine makes of a study."""
