"""Model of the input field."""
