"""The commands: arguments in, text and exit codes out, no logic of their own."""
