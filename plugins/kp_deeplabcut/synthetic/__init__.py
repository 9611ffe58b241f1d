"""Drawing mice: one mouse on a wheel in two views, frame by frame."""
