"""A whole conversation on this machine: the Live service's stand-in, a scripted visitor, and the report."""
