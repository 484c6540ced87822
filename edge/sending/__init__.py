"""Sends what is kept, by one of two ways, and learns what has arrived."""
