"""Follows what stands where: the subject that a visitor stands before, and whether a visitor is there."""
