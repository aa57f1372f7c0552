"""Requests the pages of a room's history when they are due."""

from __future__ import annotations

import asyncio

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.export.pages import PAGE, HistoryPages


class PageRequests:
    """Sends the requests of `pages` in a running event loop; call `follow` after each batch of updates."""

    def __init__(self, client: ClientRequests, pages: HistoryPages) -> None:
        self._client = client
        self._pages = pages
        self._timer: asyncio.TimerHandle | None = None

    def follow(self) -> None:
        """Request the next page, now or when it is due."""
        delay_s = self._pages.delay_s
        if delay_s is None or self._pages.is_finished or self._timer is not None:
            return
        if delay_s <= 0:
            self._request()
        else:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._request)

    def stop(self) -> None:
        """Request no more pages."""
        if self._timer is not None:
            self._timer.cancel()

    def _request(self) -> None:
        self._timer = None
        pages = self._pages
        if pages.delay_s is not None and not pages.is_finished:
            pages.requested(self._client.fetch_history(pages.room, before=pages.before, limit=PAGE))
