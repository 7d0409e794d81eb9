"""One reader a public set: the publishers' own tables become records, one an image."""
