"""From samples to batches: checks, the prepared store, the crop's geometry, augmentation, predictions and scores."""
