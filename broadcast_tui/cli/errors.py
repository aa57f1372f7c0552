"""Exit codes, and the error for bad usage."""

from __future__ import annotations

from enum import IntEnum

from broadcast_tui.core.errors import BroadcastError, EngineError


class ExitCode(IntEnum):
    """Exit status of the program."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """Invalid usage or configuration, or the server cannot listen on the host or port."""
    REFUSED = 3
    """The server rejected a post or a question."""
    UNREACHABLE = 4
    """The server cannot be reached or refused the connection."""
    OTHER_CHOICE = 5
    """Somebody did not choose the first answer to a question."""
    TIMED_OUT = 6
    """A question was not answered in time."""


def with_advice(error: BroadcastError) -> str:
    """The error's message, followed by the options that help to fix it."""
    from broadcast_tui.client.address import SecretInAddressError

    if isinstance(error, SecretInAddressError):
        from broadcast_tui.cli.credentials import TOKEN_ADVICE

        return f"{error} {TOKEN_ADVICE}"
    if isinstance(error, EngineError):
        return f"{error} Choose another file with --history, or use --history memory."
    if type(error).__module__.startswith("broadcast_tui.server."):
        return f"{error} {_server_advice(error)}".rstrip()
    return str(error)


def _server_advice(error: BroadcastError) -> str:
    # Only commands that have loaded these modules raise their errors.
    from broadcast_tui.server.admission import OriginError
    from broadcast_tui.server.client_address import NetworkError
    from broadcast_tui.server.listen import ListenError
    from broadcast_tui.server.metrics import MetricsListenError
    from broadcast_tui.server.secret_store import SecretFileError
    from broadcast_tui.server.tls import CertificateError, MissingPackageError

    match error:
        case ListenError():
            prefix = "--metrics-" if isinstance(error, MetricsListenError) else "--"
            return {
                "host": f"Choose another with {prefix}host, such as localhost or 0.0.0.0.",
                "port": f"Choose another with {prefix}port, or 0 for any free port.",
                "address": f"Change {prefix}host or {prefix}port.",
                "sharing": "Omit --share-port, and give each process its own --port behind a load balancer.",
            }[error.fault]
        case SecretFileError(is_in_redis=False):
            return "Choose another file with --tokens."
        case MissingPackageError():
            return ""
        case CertificateError():
            return "Check --tls-cert and --tls-key."
        case NetworkError():
            return "Check --trusted-proxy."
        case OriginError():
            return "Check --origin."
        case _:
            return ""


class UsageError(BroadcastError):
    """Invalid usage; the text says what to change."""
