"""Images: safe reading, geometry that can be undone, preprocessing."""
