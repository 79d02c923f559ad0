"""What a watch saw, kept in a file and read again: docs/RECORDING.md has the format."""
