"""What the caretaker does, each in a room of its own: it looks after all secrets between their rotations."""
