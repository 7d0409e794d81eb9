"""Shards: a study table with its images as tar files that stream, and an index of all that is in them."""
