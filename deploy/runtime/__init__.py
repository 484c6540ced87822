"""Sets up the private runtime folder and starts the real broker and database from it."""
