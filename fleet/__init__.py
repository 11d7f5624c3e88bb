"""The fleet: launching, watching and showing the processes."""
