"""Short-lived signed access tokens (RFC 9068), and the keys that all workers of a market sign and check them with."""

import json
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from sqlalchemy import Engine

from api_spec.organisation import Scope, Token
from market.clock import Clock
from market.errors import Busy, Unauthenticated
from market.store import UnitOfWork
from market.store.identities import KeyPair, Login
from market.workflow.keys import ALGORITHM, signing_key

_KIND: Final = "at+jwt"
_BELIEVED_S: Final = (
    60.0  # how long keys are kept before they are read again: until then a withdrawn key may be believed
)
_KEPT: Final = 4096  # tokens whose signature was checked
_READS_PER_S: Final = 10  # of the database for keys that are not known, whatever names callers make up


@dataclass(frozen=True)
class Claims:
    """What a valid token says: the client that it was given to, and what it is good for."""

    client: str
    scopes: frozenset[str]


class Tokens:
    """Gives and reads access tokens. issuer : this market's name in them."""

    def __init__(self, engine: Engine, clock: Clock, *, ttl: timedelta, issuer: str) -> None:
        """Nothing is read before the first token."""
        self._engine, self._clock, self._ttl, self._issuer = engine, clock, ttl, issuer
        self._keys = _Keys(engine)
        self._signed: dict[str, tuple[jwt.Token, OKPKey]] = {}

    def issue(self, login: Login, scopes: frozenset[Scope]) -> Token:
        """A token for a client; its subject is the client (RFC 9068 section 2.2: no person is involved)."""
        now = self._clock.now()
        key = signing_key(now=now, engine=self._engine)
        scope = " ".join(sorted(scopes))
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": login.client,
            "client_id": login.client,
            "scope": scope,
            "iat": int(now.timestamp()),
            "exp": int((now + self._ttl).timestamp()),
            "jti": secrets.token_hex(10),
        }
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": _KIND}
        signed = jwt.encode(header, claims, _pair(key), algorithms=[ALGORITHM])
        return Token(access_token=signed, expires_in=int(self._ttl.total_seconds()), scope=scope)

    def read(self, token: str) -> Claims:
        """What a token says; Unauthenticated where it is not this market's, is altered or has expired."""
        now = self._clock.now()
        try:
            read = self._verified(token, now)
        except (JoseError, ValueError) as failure:
            raise Unauthenticated("the access token is not valid") from failure
        claims: dict[str, Any] = read.claims
        if (read.header.get("typ"), claims.get("iss"), claims.get("aud")) != (_KIND, self._issuer, self._issuer):
            raise Unauthenticated("the access token is not for this market")
        if claims["exp"] <= now.timestamp():
            raise Unauthenticated("the access token has expired")
        return Claims(claims["sub"], frozenset(claims["scope"].split()))

    def _verified(self, token: str, now: datetime) -> jwt.Token:
        """A token whose signature is right, which is checked once for every time that its key is read."""
        before = self._signed.get(token)
        if before is not None and self._keys.of(before[0].header.get("kid"), now=now) is before[1]:
            return before[0]
        read = jwt.decode(token, lambda guest: self._keys.of(guest.headers().get("kid"), now=now), [ALGORITHM])
        if len(self._signed) >= _KEPT:
            self._signed.clear()
        self._signed[token] = read, self._keys.of(read.header.get("kid"), now=now)
        return read

    def public_keys(self) -> dict[str, list[dict[str, Any]]]:
        """The public parts of all keys that tokens may be signed with now (a JWK set, RFC 7517 section 5)."""
        now = self._clock.now()
        signing_key(now=now, engine=self._engine)
        with UnitOfWork(self._engine, reading=True) as work:
            keys = [each for each in work.identities.signing_keys() if _alive(each, now)]
        return {"keys": [dict(_pair(each).as_dict(private=False)) for each in keys]}


class _Keys:
    """The market's keys as last read. Read again after a while, and for a key that is not known; not without bound."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: dict[str, tuple[KeyPair, OKPKey]] = {}
        self._read_at = -_BELIEVED_S
        self._reads: deque[float] = deque(maxlen=_READS_PER_S)

    def of(self, kid: Any, *, now: datetime) -> OKPKey:
        """The key that a token names; ValueError for one that does not exist or is believed no longer."""
        if time.monotonic() - self._read_at >= _BELIEVED_S or kid not in self._known:
            self._read()
        found = self._known.get(str(kid))
        if found is None or not _alive(found[0], now):
            raise ValueError("no such key")
        return found[1]

    def _read(self) -> None:
        with self._lock:
            at = time.monotonic()
            if len(self._reads) == _READS_PER_S and at - self._reads[0] < 1.0:
                raise Busy("signing keys are being read")
            self._reads.append(at)
            with UnitOfWork(self._engine, reading=True) as work:
                keys = work.identities.signing_keys()
            self._known = {each.kid: (each, _pair(each)) for each in keys}
            self._read_at = at


def _pair(key: KeyPair) -> OKPKey:
    return OKPKey.import_key(json.loads(key.private_jwk))


def _alive(key: KeyPair, now: datetime) -> bool:
    return key.retires_at is None or now < key.retires_at
