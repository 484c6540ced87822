"""Installs what the gateway offers when a release key has signed it: root's part."""
