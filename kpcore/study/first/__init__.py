"""A first study for somebody's data: what ``kp init`` looks at, chooses and writes."""
