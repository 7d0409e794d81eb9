"""From the records of a set to the folder that labelling, training and evaluation use."""
