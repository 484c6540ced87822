"""Tests of signing in by a provider."""
