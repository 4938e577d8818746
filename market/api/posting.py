"""POSTs that can be repeated: the same Idempotency-Key and body get the stored answer, executed once."""

import hashlib
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import BaseModel

from api_spec.organisation import Organisation
from market.api.world import World
from market.errors import IdempotencyKeyReused
from market.store import UnitOfWork
from market.store.participants import Answer

M = TypeVar("M", bound=BaseModel)

IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


def once(
    world: World,
    who: Organisation,
    key: str,
    operation: str,
    body: BaseModel,
    step: Callable[[UnitOfWork], M],
    kind: type[M],
) -> M:
    """Run a workflow step once for this caller and key, with its answer kept in the same transaction.

    Raises IdempotencyKeyReused where the key came with another operation or body; nothing is done then.
    """
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()

    def executed_once(work: UnitOfWork) -> M:
        before = work.participants.answer(who.id, key)
        if before is not None:
            if (before.operation, before.body_sha256) != (operation, digest):
                raise IdempotencyKeyReused(key)
            return kind.model_validate_json(before.document)
        answer = step(work)
        work.participants.remember(who.id, key, Answer(operation, digest, answer.model_dump_json()))
        return answer

    return world.write(executed_once)
