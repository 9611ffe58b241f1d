"""COCO keypoints: the data set and OKS average precision."""
