"""YAML with types: a document whose faults name line and column, sections, value types, and their
messages."""
