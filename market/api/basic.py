"""A client's credentials as they come with a request for a token (RFC 6749, section 2.3.1)."""

import base64
import binascii
from typing import NamedTuple
from urllib.parse import unquote_plus

from market.errors import TokenRefused


class ClientSecret(NamedTuple):
    """Who a client says it is, and its proof."""

    client_id: str
    secret: str


def presented(header: str | None, client_id: str | None, client_secret: str | None, *, grant_type: str) -> ClientSecret:
    """What stands in `Authorization: Basic ...`, or in the form; TokenRefused for neither or both, or another grant."""
    if grant_type != "client_credentials":
        raise TokenRefused("unsupported_grant_type", "the only grant_type is client_credentials")
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        if not client_id or not client_secret:
            raise TokenRefused("invalid_client", "send client_id and client_secret, in the form or by HTTP Basic")
        return ClientSecret(client_id, client_secret)
    if client_secret is not None:
        raise TokenRefused("invalid_request", "send client credentials in the form or by HTTP Basic, not both")
    basic = _decoded(encoded)
    if client_id not in (None, basic.client_id):
        raise TokenRefused("invalid_request", "the form names another client than HTTP Basic")
    return basic


def _decoded(encoded: str) -> ClientSecret:
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
        name, colon, secret = (unquote_plus(each) for each in pair.partition(":"))
    except (binascii.Error, ValueError) as failure:
        raise TokenRefused("invalid_client", "the HTTP Basic credentials cannot be read") from failure
    if not colon or not (name + secret).isascii() or not (name + secret).isprintable():
        raise TokenRefused("invalid_client", "the HTTP Basic credentials are not a name and a secret")
    return ClientSecret(name, secret)
