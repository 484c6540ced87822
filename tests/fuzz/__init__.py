"""Hostile input for all that reads what others wrote: short here, long by command."""
