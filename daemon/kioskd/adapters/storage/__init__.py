"""Files of the state and runtime directories, each written whole or not at all."""
