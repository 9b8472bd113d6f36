"""Pictures from outside, decoded in a child process with limits."""
