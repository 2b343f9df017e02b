"""Errors a user can mend."""

from __future__ import annotations

import errno
import os
import pickle

import pytest

from pedcorpus.errors import (
    BuildDirError,
    DiskFullError,
    InterruptedBuildError,
    PedcorpusError,
    WorkerError,
    wrap_os_error,
)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_told_apart(number: int) -> None:
    error = wrap_os_error(OSError(number, os.strerror(number)), "/data/build")
    assert isinstance(error, DiskFullError)
    assert "/data/build" in str(error)
    assert "free some space" in error.hint


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_other_refusals_say_what_the_system_said(number: int) -> None:
    error = wrap_os_error(OSError(number, os.strerror(number)), "/data/build")
    assert type(error) is BuildDirError
    assert os.strerror(number) in str(error)


def test_an_error_without_a_number_still_says_something() -> None:
    assert "disk on fire" in str(wrap_os_error(OSError("disk on fire"), "here"))


def test_message_and_hint_come_back_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(WorkerError("a worker died", "use fewer workers")))
    assert isinstance(error, WorkerError)
    assert (error.message, error.hint, str(error)) == ("a worker died", "use fewer workers", "a worker died")


def test_exit_codes() -> None:
    assert PedcorpusError("x").exit_code == 2
    assert PedcorpusError("x").hint == ""
    assert InterruptedBuildError("x").exit_code == 130
