"""Settings: the only reader of the environment (variables `FLEXMARKET_...`)."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an installation decides.

    database_url : sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME, which several workers can share.
    max_body_bytes : larger bodies are refused unread. token_ttl : life of an access token. local_zone : whose clock the
    pages show. clearing_limit : a clearing that takes longer is stopped, and its auction fails; absent = clearing runs
    in the market's own process and is not watched. cluster : scheduler of a Dask cluster that clears instead, such as
    tcp://10.0.0.1:8786. clearings_at_once : of this process. most_at_once, most_waiting : requests that are worked on,
    and writes that wait for the disk; what is more is told at once to come again (503).
    """

    model_config = SettingsConfigDict(env_prefix="FLEXMARKET_", frozen=True)

    database_url: str = "sqlite:///flexmarket.db"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    runs_dir: Path = Path("runs")
    max_body_bytes: int = Field(default=4_000_000, ge=1_000)
    token_ttl: timedelta = timedelta(minutes=15)
    local_zone: ZoneInfo = ZoneInfo("Europe/Copenhagen")
    clearing_limit: timedelta | None = timedelta(minutes=15)
    cluster: str | None = None
    clearings_at_once: int = Field(default=1, ge=1, le=100)
    most_at_once: int = Field(default=400, ge=1)
    most_waiting: int = Field(default=500, ge=1)
