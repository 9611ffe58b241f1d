"""Normalised mean error of landmarks, its area under the curve, its failure rate."""
