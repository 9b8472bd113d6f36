"""The tasks, the mailbox, the timers and the supervision that every other room of `flow` uses."""
