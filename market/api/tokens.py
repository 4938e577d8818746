"""Short-lived signed access tokens."""

from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from api_spec.organisation import Organisation, Token
from market.clock import Clock
from market.errors import Unauthenticated

ALGORITHM = "Ed25519"


class Tokens:
    """Issues and reads access tokens. The key lives as long as the process; clients fetch a new token on 401."""

    def __init__(self, clock: Clock, ttl: timedelta) -> None:
        """Make a signing key."""
        self._key = OKPKey.generate_key("Ed25519")
        self._clock, self._ttl = clock, ttl

    def issue(self, who: Organisation) -> Token:
        """A token for an organisation; its scope is its role."""
        expires = int((self._clock.now() + self._ttl).timestamp())
        claims = {"sub": who.id, "scope": who.role, "exp": expires}
        signed = jwt.encode({"alg": ALGORITHM}, claims, self._key, algorithms=[ALGORITHM])
        return Token(access_token=signed, expires_in=int(self._ttl.total_seconds()), scope=who.role)

    def subject(self, token: str) -> str:
        """Id of the organisation that a token was issued to; Unauthenticated."""
        try:
            claims: dict[str, Any] = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as failure:
            raise Unauthenticated("the access token is not valid") from failure
        if claims["exp"] <= self._clock.now().timestamp():
            raise Unauthenticated("the access token has expired")
        return str(claims["sub"])
