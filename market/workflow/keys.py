"""The keys that sign access tokens: made on first use, replaced on request, shared by all workers of a market.

And what they and other secrets are sealed with.
"""

import json
import secrets
from datetime import datetime, timedelta
from typing import Final

from joserfc.jwk import OKPKey
from sqlalchemy import Engine

from market.store import UnitOfWork, transact
from market.store.identities import KeyPair
from market.store.sealing import replace_lost, seal_all
from market.workflow.webhooks import new_secret

ALGORITHM: Final = "Ed25519"
_SLACK: Final = timedelta(minutes=1)  # a worker may have read the old key just before it was replaced


def signing_key(*, now: datetime, engine: Engine) -> KeyPair:
    """The key that signs; made where the market has none yet."""
    with UnitOfWork(engine, reading=True) as work:
        keys = work.identities.signing_keys()
    return keys[-1] if keys else transact(engine, lambda work: _next_key(work, after=None, now=now))


def rotate_keys(*, now: datetime, token_ttl: timedelta, engine: Engine, at_once: bool = False) -> KeyPair:
    """Sign with a new key from now on.

    What older keys signed is believed until the last of it has expired. at_once : until now; for a key that has become
    known. Of two rotations at once, one makes the key and both take it.
    """
    with UnitOfWork(engine, reading=True) as work:
        keys = work.identities.signing_keys()
    before = keys[-1].kid if keys else None
    believed_until = now if at_once else now + token_ttl + _SLACK

    def step(work: UnitOfWork) -> KeyPair:
        newest = _next_key(work, after=before, now=now)
        work.identities.retire_keys(at=believed_until)
        work.identities.forget_keys(now=now)
        return newest

    return transact(engine, step)


def reseal(*, engine: Engine, lost: bool) -> tuple[int, int]:
    """Seal all secrets with the first key of the key file. lost : replace what no key opens any more.

    Returns how many were replaced, and how many sealed anew. Raises KeyFileUnusable, SecretsUnreadable.
    """
    replaced = replace_lost(engine, new_webhook_secret=new_secret) if lost else 0
    return replaced, seal_all(engine)


def _next_key(work: UnitOfWork, *, after: str | None, now: datetime) -> KeyPair:
    """The key that signs next; another worker's, where one was quicker."""
    work.identities.add_key(_new_key(now), after=after)
    return work.identities.signing_keys()[-1]


def _new_key(now: datetime) -> KeyPair:
    kid = secrets.token_hex(8)
    pair = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    return KeyPair(kid, json.dumps(pair.as_dict(private=True)), now, None)
