"""The keys that sign access tokens: made on first use, replaced on request, shared by all workers of a market."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Final

from joserfc.jwk import OKPKey
from sqlalchemy import Engine

from market.store import UnitOfWork
from market.store.identities import KeyPair

ALGORITHM: Final = "Ed25519"
_SLACK: Final = timedelta(minutes=1)  # a worker may have read the old key just before it was replaced


def signing_key(*, now: datetime, engine: Engine) -> KeyPair:
    """The key that signs; made where the market has none yet."""
    with UnitOfWork(engine) as work:
        keys = work.identities.signing_keys()
        if not keys:
            work.identities.add_key(_new_key(now), after=None)
            keys = work.identities.signing_keys()
            work.commit()
    return keys[-1]


def rotate_keys(*, now: datetime, token_ttl: timedelta, engine: Engine, at_once: bool = False) -> KeyPair:
    """Sign with a new key from now on.

    What older keys signed is believed until the last of it has expired. at_once : until now; for a key that has become
    known. Of two rotations at once, one makes the key and both take it.
    """
    with UnitOfWork(engine) as work:
        keys = work.identities.signing_keys()
        work.identities.add_key(_new_key(now), after=keys[-1].kid if keys else None)
        work.identities.retire_keys(at=now if at_once else now + token_ttl + _SLACK)
        work.identities.forget_keys(now=now)
        newest = work.identities.signing_keys()[-1]
        work.commit()
    return newest


def _new_key(now: datetime) -> KeyPair:
    kid = secrets.token_hex(8)
    pair = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    return KeyPair(kid, json.dumps(pair.as_dict(private=True)), now, None)
