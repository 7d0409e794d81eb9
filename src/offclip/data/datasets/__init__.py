"""The public sets: official trees become checked study tables."""
