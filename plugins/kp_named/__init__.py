"""Named keypoints in CSV or JSON: most labs' own data, without a plugin."""
