"""Statistics of scores and labels: pure functions of arrays; nothing here reads a file."""
