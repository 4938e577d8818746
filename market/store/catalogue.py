"""The product catalogue; products are only ever added."""

from datetime import datetime

from sqlmodel import Session, col, select

from api_spec.product import Product
from market.errors import AlreadyExists, NotFound
from market.store.tables import ProductRow


class Catalogue:
    """Products of one database transaction."""

    def __init__(self, session: Session) -> None:
        """Within one transaction."""
        self._session = session

    def add(self, product: Product, *, owner: str, now: datetime) -> None:
        """Register a product under its name; AlreadyExists where the name is taken."""
        if self._session.get(ProductRow, product.name) is not None:
            raise AlreadyExists("product", product.name)
        row = ProductRow(name=product.name, owner=owner, document=product.model_dump_json(), registered_at=now)
        self._session.add(row)
        self._session.flush()

    def find(self, name: str) -> Product | None:
        """A product by its name, if it is registered."""
        row = self._session.get(ProductRow, name)
        return None if row is None else Product.model_validate_json(row.document)

    def get(self, name: str) -> Product:
        """A product by its name; NotFound."""
        product = self.find(name)
        if product is None:
            raise NotFound("product", name)
        return product

    def names(self) -> tuple[str, ...]:
        """Names of all products, in order."""
        return tuple(self._session.exec(select(ProductRow.name).order_by(col(ProductRow.name))))

    def all(self) -> list[Product]:
        """All products, in the order of their names."""
        documents = self._session.exec(select(ProductRow.document).order_by(col(ProductRow.name)))
        return [Product.model_validate_json(document) for document in documents]
