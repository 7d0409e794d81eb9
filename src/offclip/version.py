"""The version, in a file of its own so that the lower floors need not import the package's face."""

__version__ = "0.1.0"
