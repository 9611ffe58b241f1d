"""A trained network: its folder, its weights, its predictor."""
