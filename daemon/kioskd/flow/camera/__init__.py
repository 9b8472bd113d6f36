"""Pictures for the service: a stream during conversations, and single snapshots on request."""
