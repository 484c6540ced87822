"""The write side of the database."""
