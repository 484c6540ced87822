"""The Danish screens, rendered on the server."""
