"""A whole conversation on this machine: the Live service's simulator, a scripted visitor, and the report."""
