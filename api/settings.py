"""One frozen Settings, read once; no other file reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.postgres import default_data_dir
from api.screens.clock import SHANGHAI, zone_of

DATABASE_URLS: Final = {
    "database_url": "DATABASE_URL",
    "keys_database_url": "KEYS_DATABASE_URL",
    "projector_database_url": "PROJECTOR_DATABASE_URL",
    "migrator_database_url": "MIGRATOR_DATABASE_URL",
    "keys_migrator_database_url": "KEYS_MIGRATOR_DATABASE_URL",
    "auditor_database_url": "AUDITOR_DATABASE_URL",
}
"""Field -> variable: one address a role, each with its own password."""


class IncompleteSettings(ValueError):
    """Variables that are needed for what was asked are not set; `missing` names them."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"not set: {', '.join(missing)}")
        self.missing = missing


class Settings(BaseSettings):
    """What the environment says, and the limits of the doors. Addresses are never shown by `repr`.

    Without DATABASE_URL the embedded server of `data_dir` is used, and no other address may be set:
    half a configuration is refused rather than guessed.
    """

    model_config = SettingsConfigDict(
        frozen=True, populate_by_name=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    keys_database_url: SecretStr | None = Field(default=None, validation_alias="KEYS_DATABASE_URL")
    projector_database_url: SecretStr | None = Field(
        default=None, validation_alias="PROJECTOR_DATABASE_URL"
    )
    migrator_database_url: SecretStr | None = Field(
        default=None, validation_alias="MIGRATOR_DATABASE_URL"
    )
    keys_migrator_database_url: SecretStr | None = Field(
        default=None, validation_alias="KEYS_MIGRATOR_DATABASE_URL"
    )
    auditor_database_url: SecretStr | None = Field(
        default=None, validation_alias="AUDITOR_DATABASE_URL"
    )

    data_dir: Path = Field(
        default_factory=lambda: default_data_dir().parent, validation_alias="COUNTERSEAL_DATA_DIR"
    )
    host: str = Field(default="127.0.0.1", validation_alias="COUNTERSEAL_HOST")
    port: int = Field(default=8470, ge=0, le=65535, validation_alias="COUNTERSEAL_PORT")
    public_url: str | None = Field(default=None, validation_alias="COUNTERSEAL_PUBLIC_URL")
    zone: str = Field(default=SHANGHAI, validation_alias="COUNTERSEAL_ZONE")
    lang: str = Field(
        default="en",
        validation_alias=AliasChoices("COUNTERSEAL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"),
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias="COUNTERSEAL_LOG_LEVEL"
    )

    # What the command line of those who work with a running service needs, and nothing else.
    service_url: str | None = Field(default=None, validation_alias="COUNTERSEAL_URL")
    api_key: SecretStr | None = Field(default=None, validation_alias="COUNTERSEAL_KEY")
    api_key_file: Path | None = Field(default=None, validation_alias="COUNTERSEAL_KEY_FILE")
    answer_seconds: float = Field(default=40.0, gt=0, validation_alias="COUNTERSEAL_ANSWER_SECONDS")

    # Limits of the doors; what the ledger and the read models bound stands beside them.
    body_bytes: int = Field(default=512 * 1024, ge=1024, validation_alias="COUNTERSEAL_BODY_BYTES")
    deadline_seconds: float = Field(
        default=30.0, gt=0, validation_alias="COUNTERSEAL_DEADLINE_SECONDS"
    )
    wait_seconds: float = Field(default=5.0, ge=0, validation_alias="COUNTERSEAL_WAIT_SECONDS")
    requests_a_key: int = Field(default=256, ge=1, validation_alias="COUNTERSEAL_REQUESTS_A_KEY")
    connections: int = Field(default=1024, ge=1, validation_alias="COUNTERSEAL_CONNECTIONS")
    threads: int = Field(default=16, ge=1, validation_alias="COUNTERSEAL_THREADS")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        zone_of(name)
        return name

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        if self.database_url is None:
            set_ones = [DATABASE_URLS[name] for name in DATABASE_URLS if getattr(self, name)]
            if set_ones:
                raise ValueError(f"DATABASE_URL is not set, but {', '.join(set_ones)}")
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one of this machine."""
        return self.database_url is None

    @property
    def base_url(self) -> str:
        """Where callers find the service, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def language(self) -> Literal["zh", "en"]:
        """The language of the command line: Chinese where the locale says so."""
        return "zh" if self.lang.lower().startswith("zh") else "en"

    @property
    def postgres_folder(self) -> Path:
        """Where the embedded server lives."""
        return self.data_dir / "postgres"

    @property
    def key_file(self) -> Path:
        """The key-encryption keys of this machine."""
        return self.data_dir / "keys" / "epochs.json"

    @property
    def evidence_folder(self) -> Path:
        """Where stored evidence lies, sealed."""
        return self.data_dir / "evidence"

    def url(self, field: str) -> str:
        """Return one address of `DATABASE_URLS`. Raises `IncompleteSettings`."""
        value: SecretStr | None = getattr(self, field)
        if value is None:
            raise IncompleteSettings([DATABASE_URLS[field]])
        return value.get_secret_value()


def read_settings() -> Settings:
    """Return what the environment says now. Raises `pydantic.ValidationError`."""
    return Settings()
