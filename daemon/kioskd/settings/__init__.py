"""What an owner can set (`model`) and how it is read (`load`)."""
