"""Numbers from variables of the environment."""

import pytest

from kpcore.environment import minutes
from kpcore.errors import KpError


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_what_is_no_number_of_minutes_is_named_with_its_variable(monkeypatch, text):
    monkeypatch.setenv("KP_SOME_MINUTES", text)
    with pytest.raises(
        KpError, match=rf"^KP_SOME_MINUTES = {text}: give a number of minutes above 0, at most \d+; 30 if"
    ):
        minutes("KP_SOME_MINUTES", 30.0)


def test_unset_empty_and_set_and_a_zero_that_means_something(monkeypatch):
    assert minutes("KP_SOME_MINUTES", 30.0) == 30.0
    monkeypatch.setenv("KP_SOME_MINUTES", " ")
    assert minutes("KP_SOME_MINUTES", 30.0) == 30.0
    monkeypatch.setenv("KP_SOME_MINUTES", "0.5")
    assert minutes("KP_SOME_MINUTES", 30.0) == 0.5
    monkeypatch.setenv("KP_SOME_MINUTES", "0")
    assert minutes("KP_SOME_MINUTES", 30.0, zero="none") == 0
