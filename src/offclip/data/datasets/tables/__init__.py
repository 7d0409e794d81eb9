"""What the readers share: finding tables and images in a tree, and understanding what their cells say."""
