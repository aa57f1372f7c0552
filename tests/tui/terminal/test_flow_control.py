from __future__ import annotations

from broadcast_tui.tui.terminal.flow_control import ANSWER_S, ASK_BYTES, MISSES_MAX, QUEUE_MAX, FlowControl


def answering() -> FlowControl:
    """Flow control of a terminal that has answered once, at time 0."""
    flow = FlowControl()
    assert flow.send(ASK_BYTES, 0.0)
    flow.handle_answer()
    return flow


def test_small_frames_are_sent_without_a_question_until_they_add_up() -> None:
    flow = answering()
    assert not flow.send(ASK_BYTES - 10, 0.0)
    assert flow.can_send(0.0, 0)
    assert flow.send(10, 0.0)
    assert not flow.can_send(0.1, 0)


def test_the_next_frame_waits_for_the_answer() -> None:
    flow = answering()
    flow.send(10_000, 1.0)
    assert not flow.can_send(1.5, 0)
    flow.handle_answer()
    assert flow.can_send(1.5, 0)


def test_no_question_is_sent_while_one_is_pending() -> None:
    flow = answering()
    assert flow.send(10_000, 1.0)
    assert not flow.send(10_000, 1.1)


def test_a_frame_waits_for_queued_writes() -> None:
    flow = FlowControl()
    assert flow.can_send(0.0, QUEUE_MAX)
    assert not flow.can_send(0.0, QUEUE_MAX + 1)


def test_frames_do_not_wait_for_a_terminal_that_never_answered() -> None:
    flow = FlowControl()
    now, question_count = 0.0, 0
    for _ in range(100):
        assert flow.can_send(now, 0)
        question_count += flow.send(5_000, now)
        now += 1.0
    assert question_count == MISSES_MAX


def test_waiting_for_a_terminal_that_stops_answering_is_limited() -> None:
    flow = answering()
    waited, now = 0.0, 0.0
    for _ in range(1_000):
        if flow.can_send(now, 0):
            flow.send(5_000, now)
        else:
            waited += 0.1
        now += 0.1
    assert ANSWER_S < waited < MISSES_MAX * (ANSWER_S + 0.3)


def test_questions_resume_after_a_late_answer() -> None:
    flow = answering()
    now = 0.0
    for _ in range(MISSES_MAX):
        flow.send(5_000, now)
        now += ANSWER_S + 1
        assert flow.can_send(now, 0)
    assert not flow.send(5_000, now)
    flow.handle_answer()
    assert flow.send(5_000, now)


def test_after_a_restart_no_answer_is_expected() -> None:
    flow = answering()
    flow.send(10_000, 1.0)
    flow.restart()
    assert flow.can_send(1.0, 0)
    assert not flow.is_asking


def test_no_question_is_sent_after_stop_asking() -> None:
    flow = answering()
    flow.stop_asking()
    assert not flow.send(10_000, 1.0)
