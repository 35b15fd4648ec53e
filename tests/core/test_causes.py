"""What an error came from, as a traceback shows it."""

from __future__ import annotations

from core.causes import causes


def chain(error: BaseException) -> list[str]:
    return [str(one) for one in causes(error)]


def raised(*, of: str, hidden: bool = False, stated: bool = False) -> BaseException:
    try:
        try:
            raise OSError("the disk")
        except OSError:
            if hidden:
                raise ValueError(of) from None
            if stated:
                raise ValueError(of) from KeyError("stated")
            raise ValueError(of)  # noqa: B904 - an error that happens while another is handled
    except ValueError as error:
        return error


def test_a_stated_cause_goes_before_the_error_that_was_handled_and_a_hidden_one_is_none():
    assert chain(raised(of="the bug")) == ["the bug", "the disk"]
    assert chain(raised(of="the bug", hidden=True)) == ["the bug"]
    assert chain(raised(of="the bug", stated=True)) == ["the bug", "'stated'"]


def test_a_circle_ends():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert chain(one) == ["one", "other"]
