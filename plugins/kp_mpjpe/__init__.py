"""Mean per-joint position error in millimetres."""
