"""Who calls: the organisation behind the access token, with one dependency per role."""

from typing import Annotated

from fastapi import Depends, Request

from api_spec.organisation import Organisation, Role
from market.api.world import WorldOf
from market.errors import Forbidden, NotFound, Unauthenticated


def _caller(request: Request, world: WorldOf) -> Organisation:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send an access token: Authorization: Bearer ...")
    subject = world.tokens.subject(token)
    try:
        with world.reading() as work:
            return work.participants.organisation(subject)
    except NotFound as failure:
        raise Unauthenticated("the access token is not valid") from failure


class _With:
    """A dependency: the caller, in one of some roles."""

    def __init__(self, *roles: Role) -> None:
        self._roles = roles

    def __call__(self, caller: Annotated[Organisation, Depends(_caller)]) -> Organisation:
        if caller.role not in self._roles:
            raise Forbidden(caller.role, " or ".join(self._roles))
        return caller


Anyone = Annotated[Organisation, Depends(_caller)]
Dso = Annotated[Organisation, Depends(_With("dso"))]
Aggregator = Annotated[Organisation, Depends(_With("aggregator"))]
Operator = Annotated[Organisation, Depends(_With("operator"))]
DsoOrOperator = Annotated[Organisation, Depends(_With("dso", "operator"))]
