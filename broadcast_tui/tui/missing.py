"""Requests for what the state needs from the server after a batch of updates."""

from __future__ import annotations

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui.model.state import AppState, Changes


def request_missing(client: ClientRequests, state: AppState, changes: Changes) -> None:
    """Request the member lists, the next page of rooms, and the open questions that `changes` names."""
    background = state.requests.background
    for room in changes.rooms_to_list:
        background.append(client.list_members(room))
    if changes.next_rooms is not None:
        ref, after = changes.next_rooms
        state.requests.continue_list(ref, client.list_rooms(after))
    for name, post_id in changes.questions_to_fetch:
        background.append(client.fetch_history(name, around=post_id, limit=1))
