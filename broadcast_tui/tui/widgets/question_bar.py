"""The row with the newest open question that concerns the user."""

from __future__ import annotations

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from broadcast_tui.tui.model.room_bars import question_text
from broadcast_tui.tui.model.room_notes import OpenQuestion


class QuestionBar(Widget):
    """One row with an open question; hidden without one. A click requests to answer it."""

    DEFAULT_CSS = """
    QuestionBar {
        display: none;
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $text-warning;
        text-style: bold;
        &.-open { display: block; }
    }
    """

    class AnswerRequested(Message):
        """The user wants to answer `question`."""

        def __init__(self, question: OpenQuestion) -> None:
            super().__init__()
            self.question = question

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.question: OpenQuestion | None = None
        self._key = ""

    def show(self, question: OpenQuestion | None, key: str = "") -> None:
        """Show a question and the key that answers it; None: hide the bar. Cheap without a change."""
        if (question, key) != (self.question, self._key):
            self.question, self._key = question, key
            self.set_class(question is not None, "-open")
            self.refresh()

    def answer(self) -> bool:
        """Request to answer the question; false if there is none that the user has to answer."""
        question = self.question
        if question is None or not question.can_answer:
            return False
        self.post_message(self.AnswerRequested(question))
        return True

    def on_click(self) -> None:
        self.answer()

    def render(self) -> Content:
        if self.question is None:
            return Content("")
        return Content(question_text(self.question, self._key, self.content_size.width))
