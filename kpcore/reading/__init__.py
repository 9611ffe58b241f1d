"""What every reader of annotations needs."""
