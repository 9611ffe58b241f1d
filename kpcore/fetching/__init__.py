"""Data sets from their publishers: downloaded, checked, unpacked and put in their place, as their plugins declare."""
