"""Signing in by the municipality's own provider: OpenID Connect Core 1.0, code flow with PKCE."""
