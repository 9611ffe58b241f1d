"""DeepLabCut projects, and synthetic mice in their layout."""
