"""Work on files from outside, done in a child process with limits: a bad file breaks that process only."""
