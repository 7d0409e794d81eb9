"""Grounding: heat maps, the pointing game."""
