"""Messages on standard error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fieldpool.pipeline.terminal import console


@pytest.mark.parametrize("show", [console.error, console.warning])
def test_messages_have_no_control_codes(show: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    show("\x1b[1mbold\x1b[0m, found 'a\x07\x1b]0;title\x07 é'")
    assert capsys.readouterr().err == f"{show.__name__}: bold, found 'a]0;title é'\n"


def test_lines_of_an_error_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    console.error("two lines:\n  the second")
    assert capsys.readouterr().err == "error: two lines:\n  the second\n"
