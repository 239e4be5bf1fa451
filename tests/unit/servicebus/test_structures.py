"""The data structures under a queue, against plain lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.servicebus.model import NEVER
from orchestrator.localcloud.servicebus.structures.agenda import Agenda
from orchestrator.localcloud.servicebus.structures.history import DuplicateHistory
from orchestrator.localcloud.servicebus.structures.sequences import SequenceIndex

_steps = st.lists(
    st.tuples(st.sampled_from(["add", "add many", "remove", "walk"]), st.integers(0, 3000)),
    max_size=60,
)


@given(_steps)
def test_the_index_is_an_ordered_set(steps: list[tuple[str, int]]) -> None:
    index, model = SequenceIndex(), set[int]()
    for verb, number in steps:
        if verb == "add" and number not in model:
            index.add(number)
            model.add(number)
        elif verb == "add many":
            for new in range(number, number + 700, 1 + number % 3):
                if new not in model:
                    index.add(new)
                    model.add(new)
        elif verb == "remove" and model:
            victim = min(model, key=lambda known: abs(known - number))
            index.remove(victim)
            model.remove(victim)
        elif verb == "walk":
            assert list(index.start(number)) == sorted(n for n in model if n >= number)
    assert list(index.start(0)) == sorted(model)
    for absent in {-1, 1, 4000} - model:
        try:
            index.remove(absent)
        except KeyError:
            continue
        raise AssertionError(f"{absent} was removed without being there")


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.floats(0, 100) | st.just(NEVER), st.booleans()),
        max_size=300,
    )
)
def test_an_agenda_gives_each_number_at_its_last_moment(
    steps: list[tuple[int, float, bool]],
) -> None:
    current: dict[int, float] = {}
    agenda = Agenda(lambda when, number: current.get(number) == when, current.__len__)
    for number, when, void in steps:
        if void:
            current.pop(number, None)
        else:
            current[number] = when
            agenda.add(when, number)
        assert agenda.next_due() == min(current.values(), default=NEVER)
        assert len(agenda) <= 2 * len(current) + 65
    order = []
    while (number := agenda.pop_due(1e9)) is not None:
        order.append(current.pop(number))
    assert order == sorted(order)
    assert all(when == NEVER for when in current.values())
    assert agenda.pop_due(1e9) is None


def test_an_agenda_gives_nothing_before_its_time() -> None:
    agenda = Agenda(lambda when, number: True, lambda: 1)
    agenda.add(5.0, 1)
    assert agenda.pop_due(4.9) is None
    assert agenda.pop_due(5.0) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 9)), max_size=80))
def test_a_history_forgets_each_id_after_its_last_window(
    steps: list[tuple[int, bool, int]],
) -> None:
    history, model, now = DuplicateHistory(), dict[str, float](), 0.0
    for number, forget, pause in steps:
        now += pause
        name = str(number)
        assert history.seen(name, now) == (model.get(name, 0.0) > now)
        if not history.seen(name, now):
            history.remember(name, now + 10.0)
            model[name] = now + 10.0
        if forget:
            due = {name for name, until in model.items() if until <= now}
            assert set(history.forget_due(now, 100)) == due
            model = {name: until for name, until in model.items() if until > now}
            assert history.next_due() == min(model.values(), default=NEVER)
            assert len(history) == len(model)
