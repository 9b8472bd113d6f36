"""Tasks, mailbox, timers and supervision, which all other packages of `flow` use."""
