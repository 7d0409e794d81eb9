"""Grounding: heat maps, the pointing game, localisation, and whether a map means anything."""
