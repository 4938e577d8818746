"""What is published of the contract is what the code says; `python -m market.api.spec` writes it anew."""

import inspect
import json
import re

from api_spec.client import MarketClient
from market.api.spec import FOLDER, documents


def test_generated_files_have_not_drifted() -> None:
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8").strip() == text.strip(), path.name


def test_the_client_has_one_method_for_each_endpoint() -> None:
    paths = json.loads((FOLDER / "openapi.json").read_text())["paths"]
    served = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/v1/")
    }
    source = inspect.getsource(MarketClient)
    called = {
        (verb, re.sub(r"\{[^}]+\}", "{}", path))
        for verb, path in (
            *(("GET", path) for path in re.findall(r'_(?:get|pages|listen)\(\s*f?"(/v1/[^"]+)"', source)),
            *(("POST", path) for path in re.findall(r'_post\(\s*f?"(/v1/[^"]+)"', source)),
            *(("PUT", path) for path in re.findall(r'_put\(\s*f?"(/v1/[^"]+)"', source)),
            *re.findall(r'_send\("(\w+)", f"(/v1/[^"]+)"', source),
            *(("PUT", path) for path in re.findall(r'path = f"(/v1/[^"]+)"\s+return await self._put', source)),
            *(("DELETE", path) for path in re.findall(r'path = f"(/v1/[^"]+)"\s+await self._send\("DELETE"', source)),
        )
    }

    assert called == served
