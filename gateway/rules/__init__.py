"""Pure functions from a window of observations to findings."""
