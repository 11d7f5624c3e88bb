"""What the read-only simulators share: options, clock, faults, control pages and the life of the process."""
