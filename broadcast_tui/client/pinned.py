"""Connections that look at the certificate's fingerprint before they send anything."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from broadcast_tui.client.frames import FrameConnection
from broadcast_tui.client.trust import CertificateChanged
from broadcast_tui.core.endpoint import fingerprint


def connection_factory(pin: str) -> Callable[..., FrameConnection]:
    """What makes connections: such that check the fingerprint, if there is one."""
    if not pin:
        return FrameConnection
    return lambda *args, **kwargs: PinnedConnection(pin, *args, **kwargs)


class PinnedConnection(FrameConnection):
    """A connection that sends nothing to a server whose certificate has another fingerprint than `pin`."""

    def __init__(self, pin: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pin = pin

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        tls = self.transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if not certificate or not hmac.compare_digest(fingerprint(certificate), self._pin):
            raise CertificateChanged
        await super().handshake(*args, **kwargs)
