"""Pictures for the service: the stream while somebody talks, and single snapshots on request."""
