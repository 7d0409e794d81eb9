"""What is wrong with the tree of a set."""
