"""Decision rules: what to propose, where to put its bracket, and how it would have ended."""
