"""The settings of an owner (`model`), and their reader (`load`)."""
