"""What things look like: pure functions from answers and events to text; nothing here prints."""
