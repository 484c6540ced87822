"""The read side of the database; every read takes the caller."""
