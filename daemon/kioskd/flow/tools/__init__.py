"""The model's tool calls: running them, asking a person for confirmation, and answering."""
