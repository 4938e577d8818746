"""Tree heads, signed with Ed25519 (RFC 8032)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api_spec.audit import TreeHead, head_text


@dataclass(frozen=True)
class SigningKey:
    """A key pair: 32 bytes each."""

    public: bytes
    private: bytes

    @classmethod
    def new(cls) -> Self:
        """A random one."""
        return cls.of(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def of(cls, private: bytes) -> Self:
        """The pair of a private key."""
        return cls(Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw(), private)

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.private).sign(text)


def signed_head(*, number: int, size: int, root: bytes, at: datetime, key: SigningKey) -> TreeHead:
    """The head of a tree of `size` leaves."""
    instant = at.astimezone(UTC).isoformat(timespec="microseconds")
    text = head_text(number=number, size=size, root=root.hex(), at=instant)
    return TreeHead(
        number=number, size=size, root=root.hex(), at=at, key=key.public.hex(), signature=key.sign(text).hex()
    )


def signature_holds(head: TreeHead) -> bool:
    """Whether the head was signed by the key that it names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.key))
        key.verify(bytes.fromhex(head.signature), head.signed_text())
    except InvalidSignature:
        return False
    return True
