"""From the official tree of a public set to the truth of a protocol."""
