"""Tool calls of the model: running them, asking for confirmation, and answering."""
