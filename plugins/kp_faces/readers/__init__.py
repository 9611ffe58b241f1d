"""One file a layout, and what they share: a part as columns, and the samples made of it."""
