"""What the stages keep: resources, applications, awards by version; and a way back from their tables."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alembic import command
from sqlalchemy import Engine, text

from api_spec.organisation import Organisation
from api_spec.product import Product
from api_spec.resource import Resource
from market.errors import AlreadyExists, NotFound
from market.store import UnitOfWork
from market.store.engine import migrations
from tests.street_network import STREET

NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
PRODUCT = Product(name="day", price_cap_eur_per_mwh=Decimal("800.25"), penalty_eur_per_mwh=Decimal(100))
RESOURCE = Resource(
    id="res-1",
    participant="agg",
    version=1,
    registered_at=NOW,
    connection="9f86d081884c7d65",
    network="street",
    bus="far",
    capability="V2G",
    reducible_w=9_000,
    increasable_w=11_000,
)


@pytest.fixture
def engine(migrated: Engine) -> Engine:
    with UnitOfWork(migrated) as work:
        for name, role in (("dso", "dso"), ("agg", "aggregator")):
            who = Organisation.model_validate({"id": name, "name": name, "role": role})
            work.participants.add(who, client_id=name, secret_hash="#", now=NOW)
        work.participants.add_network(STREET, dso="dso", now=NOW)
        work.commit()
    return migrated


def test_products_and_resources_come_back_the_same(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        work.catalogue.add(PRODUCT, owner="dso", now=NOW)
        work.resources.save(RESOURCE)
        work.commit()
    with UnitOfWork(engine) as work:
        assert work.catalogue.get("day") == PRODUCT
        assert work.catalogue.find("week") is None
        assert work.resources.resource("res-1", participant="agg") == RESOURCE
        with pytest.raises(AlreadyExists):
            work.catalogue.add(PRODUCT, owner="dso", now=NOW)
        with pytest.raises(AlreadyExists):
            work.resources.save(RESOURCE.model_copy(update={"id": "res-2"}))


def test_what_was_removed_is_gone_but_for_its_id(engine: Engine) -> None:
    with UnitOfWork(engine) as work:
        work.resources.save(RESOURCE)
        work.resources.remove(RESOURCE)
        work.commit()
    with UnitOfWork(engine) as work:
        assert work.resources.resources(network="street") == []
        with pytest.raises(NotFound):
            work.resources.resource("res-1", participant="agg")
    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT id, connection, document FROM resource")).all()
    assert tuple(row) == ("res-1", None, None)


def test_the_tables_can_be_taken_back_and_made_again(engine: Engine) -> None:
    """An award made before there were versions is of the first one."""
    with engine.begin() as connection:
        command.downgrade(migrations(connection), "0005-1")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO auction (sequence, id, dso, network, state, gate_closure, terms) "
                "VALUES (1, 'a', 'dso', 'street', 'published', '2026-01-14T12:00:00.000000+00:00', '{}')"
            )
        )
        connection.execute(text("INSERT INTO award VALUES ('a', 'o', 'agg', '{}')"))
        command.upgrade(migrations(connection), "head")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT offer, version FROM award")).all() == [("o", 1)]
