"""Keys of a secure sum: agreement by X25519, derivation by HKDF, sealing by ChaCha20-Poly1305."""

from __future__ import annotations

import json
from typing import Any

from sparkml_dist.federated.privacy.packages import needed

KEY_BYTES = 32
# What sealing adds to a text.
SEAL_BYTES = 16


def derived(secret: bytes, *purpose: Any) -> bytes:
    """Return a key of 32 bytes for a purpose: HKDF-SHA256 of a secret."""
    kdf = needed("cryptography.hazmat.primitives.kdf.hkdf")
    hashes = needed("cryptography.hazmat.primitives.hashes")
    info = json.dumps(["sparkml_dist secure sum", *purpose]).encode()
    return kdf.HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=info).derive(secret)


def public_key(private: bytes) -> bytes:
    """Return the public key of X25519 that belongs to a private one."""
    return bytes(_private(private).public_key().public_bytes_raw())


def agreed(private: bytes, public: bytes, *purpose: Any) -> bytes | None:
    """Return the key that two key pairs share for a purpose; None for a public key that is bad."""
    x25519 = needed("cryptography.hazmat.primitives.asymmetric.x25519")
    try:
        secret = _private(private).exchange(x25519.X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None
    return derived(secret, *purpose)


def sealed(key: bytes, text: bytes, about: bytes) -> bytes:
    """Encrypt and authenticate the one text that is ever sealed with this key."""
    aead = needed("cryptography.hazmat.primitives.ciphers.aead")
    return bytes(aead.ChaCha20Poly1305(key).encrypt(bytes(12), text, about))


def opened(key: bytes, sealed_text: bytes, about: bytes) -> bytes | None:
    """Return the text that was sealed, or None where it was altered or meant for another."""
    aead = needed("cryptography.hazmat.primitives.ciphers.aead")
    exceptions = needed("cryptography.exceptions")
    try:
        return bytes(aead.ChaCha20Poly1305(key).decrypt(bytes(12), sealed_text, about))
    except exceptions.InvalidTag:
        return None


def _private(private: bytes) -> Any:
    x25519 = needed("cryptography.hazmat.primitives.asymmetric.x25519")
    return x25519.X25519PrivateKey.from_private_bytes(private)
