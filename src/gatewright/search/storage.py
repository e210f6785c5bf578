"""The URL of a study's storage in; what is needed to open it, and its failures as errors without its password, out."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gatewright.config import Config
from gatewright.errors import ConfigError, GatewrightError


def storage_url(config: Config, folder: Path) -> str:
    """Return the configuration's storage, by default a SQLite file in the search directory."""
    return config.search.storage or f"sqlite:///{folder.resolve() / 'study.sqlite3'}"


def engine_options(url: str) -> dict[str, Any]:
    """Return SQLAlchemy's options for a URL: a server that does not answer is given up after ten seconds."""
    return {"connect_args": {"connect_timeout": 10}} if url.startswith(("postgresql", "mysql")) else {}


@contextlib.contextmanager
def opening(url: str) -> Generator[None]:
    """Turn what a storage raises while it is opened into a ConfigError that names it."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except GatewrightError:
        raise
    except ImportError as error:
        module = getattr(error.__cause__, "name", None) or error.name or "of this database"
        raise ConfigError(
            f"cannot open search.storage {_public(url)!r}: the Python driver {module} is not installed; pip install it"
        ) from None
    except (SQLAlchemyError, OptunaError, RuntimeError, ValueError, OSError) as error:
        raise ConfigError(
            f"cannot open search.storage {_public(url)!r}: {_why(error, url)}; check the URL "
            "(dialect://user:password@host/database) and that the server runs"
        ) from None


@contextlib.contextmanager
def using(url: str) -> Generator[None]:
    """Turn the failure of a storage in the middle of a search into a GatewrightError that names it."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise GatewrightError(
            f"search.storage {_public(url)!r} failed: {_why(error, url)}; no trial is lost: mend it and run again"
        ) from None


def _why(error: BaseException, url: str) -> str:
    cause = getattr(error, "orig", None) or error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    text = str(cause).strip()
    first = text.splitlines()[0][:200] if text else type(cause).__name__
    secret = _password(url)
    return first.replace(secret, "***") if secret else first


def _public(url: str) -> str:
    """Return a URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return f"{url.split(':', maxsplit=1)[0]}:..."


def _password(url: str) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).password or ""
    except (ArgumentError, ValueError):
        return url.split(":", maxsplit=1)[-1]
