"""Speaks the owner's announcements: when they are due, and when there is a pause. Imported when needed."""
