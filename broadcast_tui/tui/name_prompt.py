"""The user's name: given for one run, chosen before, or asked for; a chosen name is saved."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name


class NamePrompter:
    """Asks for a name if there is none, and saves the name that the user chooses.

    Args:
        app: The app that shows the dialog.
        preferences: Contains the name chosen before, if any.
        given: Name for this run only; empty if there is none.
        suggested: Name to offer a user who has not chosen one yet.
        must_ask: Whether to ask although the user has chosen a name before.
    """

    def __init__(
        self, app: App[None], preferences: Preferences, given: str, suggested: str, *, must_ask: bool
    ) -> None:
        self._app = app
        self._preferences = preferences
        self._given = given
        self._suggested = suggested
        self._must_ask = must_ask
        self._names: dict[str, str] = {}
        """The names on the servers, by URL, as far as they are known."""

    def choose(self, place: str, start: Callable[[str], None]) -> None:
        """Call `start` with the name: the given one, the saved one, or what the user enters.

        Args:
            place: Server and room to display.
        """

        def on_answer(name: str | None) -> None:
            if name is not None:
                self._save(name)
                start(name)

        saved = self._preferences.name
        name = self._given or ("" if self._must_ask else saved)
        if not name:
            self._ask(on_answer, place, saved or self._suggested)
            return
        try:
            checked = check_name(name)
        except InvalidNameError as error:
            self._ask(on_answer, place, name, error.text)
        else:
            start(checked)

    def ask_other(self, place: str, name: str, reason: str, rename: Callable[[str], object]) -> None:
        """Ask for another name than `name`, which the server has rejected; `rename` gets the answer."""

        def on_answer(answer: str | None) -> None:
            if answer:
                rename(answer)

        self._ask(on_answer, place, name, reason)

    def _ask(
        self, on_answer: Callable[[str | None], None], place: str, suggested: str, reason: str = ""
    ) -> None:
        """Open the dialog for a name, unless it is open."""
        from broadcast_tui.tui.screens.login import LoginScreen

        if not isinstance(self._app.screen, LoginScreen):
            self._app.push_screen(LoginScreen(place, suggested, reason), on_answer)

    def handle_name(self, url: str, name: str) -> None:
        """Save the user's name on the server at `url` if they have changed it, or have not chosen one yet.

        A name that was given for one run, or that a token contains, does not replace a saved one.
        """
        before, self._names[url] = self._names.get(url, ""), name
        if before or not self._preferences.name:
            self._save(name)

    def _save(self, name: str) -> None:
        if name and name != self._preferences.name:
            self._preferences.name = name
            self._preferences.save()
