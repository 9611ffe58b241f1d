"""Weights of other programs taken over: a state dict becomes a model folder, tensor by tensor, by rules in a file."""
