"""Models of open_clip, by the names that it gives them, from its checkpoints, folders and the hub."""
