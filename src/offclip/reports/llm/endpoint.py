"""Which servers may be asked: this machine, unless the user says otherwise."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from offclip.errors import ConfigError

_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F))) - set("\\\"'<>^`{|}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A checked address.

    Attributes:
        url: The base URL, put together anew from its parts.
        host: Host name or address.
        loopback: Whether it is this machine.
    """

    url: str
    host: str
    loopback: bool


def is_loopback(host: str) -> bool:
    """Return whether a host is literally this machine. Names are not looked up: a name server may lie.

    Example:
        >>> [is_loopback(host) for host in ("localhost", "127.9.0.1", "::1", "localhost.example.org")]
        [True, True, True, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_endpoint(url: str, *, allow_remote: bool) -> Endpoint:
    """Check the address of a server.

    Raises:
        ConfigError: It is no http(s) address, carries a password, a query or a fragment, or is not this
            machine and `allow_remote` is not set.

    Example:
        >>> check_endpoint("http://LOCALHOST:8000/v1/", allow_remote=False).url
        'http://localhost:8000/v1'
    """
    remedy = "Write it as http://localhost:8000/v1."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = parts = None
    if parts is None or not host or parts.scheme not in ("http", "https") or not set(url) <= _PRINTABLE:
        raise ConfigError("The endpoint is not an http or https address.", remedy)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "The endpoint carries a user, a query or a fragment.", f"{remedy} Keys go into api_key_env."
        )
    loopback = is_loopback(host)
    if not loopback and not allow_remote:
        raise ConfigError(
            f"The endpoint {host} is not this machine, so report text would leave it.",
            "Use a local server; or, if you may send these reports there, give --allow-remote "
            "(allow_remote = true). Read 'Privacy' in docs/llm.md first.",
        )
    address = f"[{host}]" if ":" in host else host
    where = address if port is None else f"{address}:{port}"
    return Endpoint(f"{parts.scheme}://{where}{parts.path.rstrip('/')}", host, loopback)


def privacy_warning(endpoint: Endpoint) -> str:
    """Return what a user must know before report text leaves the machine; empty for this machine.

    Example:
        >>> privacy_warning(check_endpoint("http://localhost:8000/v1", allow_remote=True))
        ''
    """
    if endpoint.loopback:
        return ""
    clear = "" if endpoint.url.startswith("https:") else " The connection is not encrypted."
    return (
        f"Sentences of the reports are sent to {endpoint.host}.{clear} Reports are patient data: send them "
        "only where law, your institution and the data's licence allow it. Credentialed data such as "
        "PhysioNet's (MIMIC-CXR) must not be given to third parties, which includes hosted language models."
    )
