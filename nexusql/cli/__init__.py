"""What runs from a command line."""
