"""Makes the Debian package of the box, and signs it."""
