"""Leeds Sports Pose Extended."""
