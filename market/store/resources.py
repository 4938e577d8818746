"""Resources, the load they are checked against, and their prequalification."""

from sqlmodel import Session, col, select

from api_spec.prequalification import Prequalification
from api_spec.resource import ReferenceLoad, Resource
from market.errors import AlreadyExists, NotFound
from market.store.tables import PrequalificationRow, ReferenceLoadRow, ResourceRow


class Resources:
    """Resources of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def save(self, resource: Resource) -> None:
        """Keep a new resource or its next version; AlreadyExists where its participant has the connection already."""
        same = select(ResourceRow.id).where(
            ResourceRow.participant == resource.participant, ResourceRow.connection == resource.connection
        )
        if self._session.exec(same).first() not in (None, resource.id):
            raise AlreadyExists("resource at connection", resource.connection)
        row = self._session.get(ResourceRow, resource.id) or ResourceRow(
            id=resource.id,
            participant=resource.participant,
            network=resource.network,
            version=resource.version,
            registered_at=resource.registered_at,
        )
        row.network, row.connection, row.version = resource.network, resource.connection, resource.version
        row.document = resource.model_dump_json()
        self._session.add(row)
        self._session.flush()

    def remove(self, resource: Resource) -> None:
        """Erase a resource: its id stays for what refers to it, its connection and everything else goes."""
        row = self._session.get_one(ResourceRow, resource.id)
        row.connection = row.document = None
        self._session.add(row)
        self._session.flush()

    def resource(self, resource: str, *, participant: str, lock: bool = False) -> Resource:
        """One of a participant's resources; NotFound, also for somebody else's.

        lock : nobody else changes it, or applies with it, until this transaction ends.
        """
        row = self._session.get(ResourceRow, resource, with_for_update=lock)
        if row is None or row.document is None or row.participant != participant:
            raise NotFound("resource", resource)
        return Resource.model_validate_json(row.document)

    def resources(self, *, participant: str | None = None, network: str | None = None) -> list[Resource]:
        """Resources of a participant or on a network, in the order of their ids."""
        query = select(ResourceRow.document).where(col(ResourceRow.document).is_not(None))
        if participant is not None:
            query = query.where(ResourceRow.participant == participant)
        if network is not None:
            query = query.where(ResourceRow.network == network)
        documents = self._session.exec(query.order_by(col(ResourceRow.id)))
        return [Resource.model_validate_json(document) for document in documents if document is not None]

    def set_reference_load(self, network: str, load: ReferenceLoad) -> None:
        """Set or replace what a network carries by itself."""
        row = self._session.get(ReferenceLoadRow, network) or ReferenceLoadRow(network=network, document="")
        row.document = load.model_dump_json()
        self._session.add(row)

    def reference_load(self, network: str) -> ReferenceLoad | None:
        """What a network carries by itself, if its DSO has said so."""
        row = self._session.get(ReferenceLoadRow, network)
        return None if row is None else ReferenceLoad.model_validate_json(row.document)

    def save_prequalification(self, prequalification: Prequalification) -> None:
        """Keep a new application or the next state of one."""
        row = self._session.get(PrequalificationRow, prequalification.id) or PrequalificationRow(
            id=prequalification.id,
            resource=prequalification.resource,
            participant=prequalification.participant,
            network=prequalification.network,
            product=prequalification.product,
            state=prequalification.state,
            document="",
        )
        row.state, row.document = prequalification.state, prequalification.model_dump_json()
        self._session.add(row)
        self._session.flush()

    def prequalification(self, prequalification: str, *, lock: bool = False) -> Prequalification:
        """An application by its id; NotFound. lock : nobody else changes it until this transaction ends."""
        row = self._session.get(PrequalificationRow, prequalification, with_for_update=lock)
        if row is None:
            raise NotFound("prequalification", prequalification)
        return Prequalification.model_validate_json(row.document)

    def prequalifications(
        self,
        *,
        resource: str | None = None,
        participant: str | None = None,
        network: str | None = None,
        product: str | None = None,
        lock: bool = False,
    ) -> list[Prequalification]:
        """Applications that fit everything that is given, in the order of their ids.

        lock : nobody else relies on them or changes them until this transaction ends.
        """
        query = select(PrequalificationRow.document)
        for column, wanted in (
            (PrequalificationRow.resource, resource),
            (PrequalificationRow.participant, participant),
            (PrequalificationRow.network, network),
            (PrequalificationRow.product, product),
        ):
            if wanted is not None:
                query = query.where(col(column) == wanted)
        if lock:
            query = query.with_for_update()
        documents = self._session.exec(query.order_by(col(PrequalificationRow.id)))
        return [Prequalification.model_validate_json(document) for document in documents]
