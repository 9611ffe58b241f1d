"""Rendering people: an articulated body of solids, before a camera, among other things."""
