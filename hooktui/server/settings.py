"""The settings of a server: ``config.toml``, then ``HOOKTUI_*``, then the options of ``serve``.

Later ones override earlier ones. An error is one line that names the wrong file, variable or
option.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from hooktui.domain.adaptive_limit import DEFAULT_MAX_LIMIT
from hooktui.domain.addresses import Networks, parse_networks
from hooktui.domain.errors import HooktuiError, Refused
from hooktui.domain.paths import CONSOLE_TABLES, with_absolute_file
from hooktui.domain.roles import Role
from hooktui.domain.setting import NAMES, as_decimal, as_whole
from hooktui.domain.text import visible

PREFIX = "HOOKTUI_"

_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.IGNORECASE)


class BadSettings(HooktuiError):
    """The configuration cannot be used; the server does not start."""

    status = 0
    title = "Bad configuration"


def _split(value: object) -> object:
    """Accept a list written as ``a, b``."""
    return NAMES.parse(value) if isinstance(value, str) else value


def _hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is not a host name; write it without scheme and port")
    return names


def _pairs(value: object) -> object:
    """Accept a table written as ``ann=admin, bob=viewer``."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError("write it as name=role, name=role")
    roles: dict[str, str] = {}
    for name, _, role in pairs:
        if name.strip() in roles:
            raise ValueError(f"{name.strip()[:40]!r} is there twice; write it once")
        roles[name.strip()] = role.strip()
    return roles


def _networks(value: object) -> object:
    if isinstance(value, list):
        value = ",".join(str(network) for network in value)
    if not isinstance(value, str):
        return value
    try:
        return parse_networks(value)
    except Refused as refused:
        raise ValueError(refused.detail) from None


def _listen(value: str) -> str:
    split_listen(value)
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Return host and port of ``127.0.0.1:8080`` or ``[::1]:8080``.

    Raises:
        ValueError: it is neither.
    """
    host, _, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    with suppress(UnicodeError):
        host.encode("idna")  # as the look-up does
        if host and port.isascii() and port.isdigit() and int(port) <= 65535:
            return host, int(port)
    raise ValueError(f"{value[:100]!r} is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")


_Whole = Annotated[int, BeforeValidator(as_whole)]
_Decimal = Annotated[float, BeforeValidator(as_decimal)]
_Roles = Annotated[dict[str, Role], BeforeValidator(_pairs)]


class Settings(BaseModel):
    """The settings: a field is a key of ``config.toml`` and a ``HOOKTUI_`` variable."""

    model_config = ConfigDict(hide_input_in_errors=True, use_attribute_docstrings=True)

    database_url: str | None = Field(default=None, repr=False)
    """The database: ``sqlite:///PATH``, by default ``hooktui.db`` in the home; or
    ``postgresql://USER:PASSWORD@HOST:PORT/NAME``, which any number of servers can share."""

    listen: Annotated[str, AfterValidator(_listen)] | None = None
    """``HOST:PORT`` to listen on besides the Unix socket; TCP always requires a token."""

    hosts: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)] = ()
    """Host names (``Host`` header, without the port) that the API serves on TCP, besides the
    loopback ones."""

    allow_networks: Annotated[Networks, BeforeValidator(_networks, json_schema_input_type=str)] = ()
    """Networks that hooks may reach although they are not public: ``127.0.0.0/8, fd00::/8``."""

    catalogue: Path | None = None
    """A TOML file of event groups and types; the ETL catalogue is built in."""

    tls_cert: Path | None = None
    """Certificate chain (PEM) for ``listen``; needed unless that is a loopback address."""

    tls_key: Path | None = None
    """Private key (PEM) of the certificate."""

    users: _Roles = Field(default_factory=dict)
    """Roles of users of the Unix socket; root and the server's owner are admin."""

    groups: _Roles = Field(default_factory=dict)
    """Roles of groups of the Unix socket's users."""

    keep_days: Annotated[_Decimal, Field(ge=0, le=36500)] = 30
    """Days that events are kept with their deliveries and attempts; 0: unlimited."""

    keep_bodies_days: Annotated[_Decimal, Field(ge=0, le=36500)] = 7
    """Days that the body of an event is kept once all of its deliveries are delivered; 0: as long
    as the event."""

    reserve_mb: Annotated[_Whole, Field(ge=1, le=1_000_000)] = 64
    """MiB of the disk that events leave free (then 507), so that deletion still works."""

    max_connections: Annotated[_Whole, Field(ge=10, le=100_000)] = 1000
    """Connections over TCP at once, and of each user of the Unix socket except root and the owner.
    One token, or all that are bound to one account, have at most half of those over TCP;
    connections without a valid token get half."""

    max_outbound: Annotated[_Whole, Field(ge=1, le=1_000_000)] | None = None
    """Connections to receivers at once, over all hooks; by default as many as the limit of open
    files allows, at most 10,000."""

    auto_in_flight_max: Annotated[_Whole, Field(ge=1, le=1000)] = DEFAULT_MAX_LIMIT
    """The most deliveries in flight of a hook whose ``max_in_flight`` is auto."""

    max_hooks: Annotated[_Whole, Field(ge=1, le=10_000_000)] = 100_000
    """Hooks of one account; each of its events is compared with all that subscribe to its type."""

    max_filter_terms: Annotated[_Whole, Field(ge=1, le=1000)] = 50
    """Terms of a hook's filter; a hook with more is not saved."""

    max_filter_patterns: Annotated[_Whole, Field(ge=0, le=1000)] = 100
    """Values with a ``*`` in the ``data.`` terms of a hook's filter: each is searched in each body,
    at about 0.3 ms for 256 KiB. All values without a ``*`` together cost as much as one with it."""

    max_filter_length: Annotated[_Whole, Field(ge=1, le=2000)] = 2000
    """Characters of a hook's filter."""

    events_per_s: Annotated[_Decimal, Field(ge=0, le=1e9, allow_inf_nan=False)] = 20_000
    """Events a second that one token may send, or one user of the Unix socket except root and the
    owner, with a burst of two seconds' worth. 0: unlimited."""

    calls_per_s: Annotated[_Decimal, Field(ge=0, le=1e9, allow_inf_nan=False)] = 500
    """The same for all other calls of the API."""

    alert_after_failures: Annotated[_Whole, Field(ge=1, le=1000)] = 3
    """Attempts in a row that fail before a hook is failing, which opens an alert."""

    alert_after_s: Annotated[_Decimal, Field(ge=0, le=86_400, allow_inf_nan=False)] = 60
    """Seconds since the first of them before that alert opens."""

    alert_quiet_s: Annotated[_Decimal, Field(ge=0, le=86_400, allow_inf_nan=False)] = 600
    """Seconds between two events that announce an alert of the same subject as open."""

    api_docs: bool = False
    """Serve a page that lists the API's calls at ``/docs``."""

    @property
    def postgres_url(self) -> str | None:
        """The address of PostgreSQL, which other servers may share; None: a SQLite file."""
        url = self.database_url
        return url if url and url.startswith(("postgresql://", "postgres://")) else None

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate and key of the TCP listeners, if they have TLS."""
        if self.tls_cert is None or self.tls_key is None:
            return None
        return self.tls_cert, self.tls_key

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key must both be set; one of them is missing")
        return self


def load(
    config: Path, environ: Mapping[str, str], options: Mapping[str, object] | None = None
) -> Settings:
    """Load the settings of a server from the file (optional), the environment and the options.

    Args:
        config: path of ``config.toml``.
        environ: such as ``os.environ``; an empty variable counts as unset.
        options: of ``serve``, by field name; None counts as absent.

    Raises:
        BadSettings: a value is wrong, or the file cannot be read.
    """
    written, variables = _read(config), _variables(environ)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    sources = {
        **{name: f"{config}: {name}" for name in written},
        **{name: PREFIX + name.upper() for name in variables},
        **{name: "--" + name.replace("_", "-") for name in given},
    }
    try:
        return Settings.model_validate(written | variables | given)
    except ValidationError as error:
        from hooktui.api.responses import describe_error  # costs time that only an error needs

        lines = []
        for detail in error.errors(include_url=False):
            name, *inner = map(str, detail["loc"] or ("",))
            named = ".".join([sources.get(name, ""), *inner])
            lines.append(describe_error(named, detail).removeprefix(": "))
        raise BadSettings("; ".join(lines)) from None


_OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in ("HOME", "SOCKET", "TOKEN", "KEY", "RESTRICTED", "DEBUG", "FAILPOINT", "TESTING")
)
"""Variables besides the settings of a server."""


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each unknown variable that begins with `PREFIX`."""
    known = _OTHER_VARIABLES.union(PREFIX + name.upper() for name in Settings.model_fields)
    wrong = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, 1, 0.8)
            hint = f"did you mean {close[0]}?" if close else "see docs/operate/configuration.md"
            wrong.append(f"unknown environment variable {visible(name, limit=100)}; {hint}")
    return wrong


def _variables(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {name: environ.get(PREFIX + name.upper()) for name in Settings.model_fields}
    return {name: value for name, value in variables.items() if value}


def _read(config: Path) -> dict[str, object]:
    try:
        content = tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        for path in (config, *config.parents):
            if path.is_symlink() and not path.exists():  # such as of a disk that is not mounted
                wrong = f"{path} is a symbolic link to {path.readlink()}, which does not exist"
                raise BadSettings(f"cannot read {config}: {wrong}") from None
        return {}
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadSettings(f"cannot read {config}: {why}") from None
    for table in CONSOLE_TABLES:
        content.pop(table, None)
    unknown = sorted(set(content) - set(Settings.model_fields))
    if unknown:
        known = ", ".join(Settings.model_fields)
        raise BadSettings(f"{config}: unknown setting {unknown[0]!r}; known: {known}")
    return content | _absolute(content, config.absolute().parent)


def _absolute(content: Mapping[str, object], folder: Path) -> dict[str, object]:
    """Return the paths of a file that are relative to its folder, wherever the server is started.

    A server in the background and a service work in ``/``.
    """
    absolute: dict[str, object] = {}
    for name, field in Settings.model_fields.items():
        value = content.get(name)
        if isinstance(value, str) and value and field.annotation == Path | None:
            absolute[name] = folder / value
    database = content.get("database_url")
    if isinstance(database, str):
        absolute["database_url"] = with_absolute_file(database, folder)
    return absolute
