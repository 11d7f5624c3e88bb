"""What each group of pages answers."""
