"""Protocols: which classes, prompts, labels, exclusions and measures make a published number."""
