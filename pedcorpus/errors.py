"""The one tree of errors a user can mend. The CLI prints message and hint, never a traceback."""

from __future__ import annotations

import errno

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PedcorpusError(Exception):
    """Something the user must mend. ``message`` says what and where, ``hint`` what to do."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class ConfigError(PedcorpusError):
    """The config file cannot be used."""


class SourceError(PedcorpusError):
    """A source named in the config cannot be reached at all."""


class BuildDirError(PedcorpusError):
    """The build directory cannot be written, is locked, or does not hold a build."""


class DiskFullError(BuildDirError):
    """No space left where the build writes."""


class PluginError(PedcorpusError):
    """A plug-in is unknown or cannot be loaded."""


class LostItemsError(PedcorpusError):
    """A stage's counts do not add up: the promise that nothing is lost was broken."""


class WorkerError(PedcorpusError):
    """A worker process died, most often for want of memory."""


class InterruptedBuildError(PedcorpusError):
    """The build was stopped by a signal; it resumes from the files on disk."""

    exit_code = 130


def wrap_os_error(error: OSError, where: str) -> PedcorpusError:
    """Turn an ``OSError`` met while writing under ``where`` into an error the user can act on."""
    if error.errno in NO_SPACE:
        return DiskFullError(
            f"no space left while writing under {where}",
            "free some space and run the same command again: it goes on where it stopped",
        )
    return BuildDirError(f"cannot write under {where}: {error.strerror or error}", "check the path and its permissions")
