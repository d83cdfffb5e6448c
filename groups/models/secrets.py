"""Secrets that are shown once and stored hashed."""

import hashlib
import secrets


def make(prefix: str) -> str:
    """A new secret of 256 random bits, with a prefix that tells what it is for."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is stored. One round is enough: the secret is random, so that guessing it is hopeless."""
    return hashlib.sha256(secret.encode()).hexdigest()
