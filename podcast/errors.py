"""What can go wrong, each with the place, the problem and what to do. Only the command line makes exit codes of them."""

from __future__ import annotations

from dataclasses import dataclass


class PodcastError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(PodcastError, ValueError):
    """The user, or a file of the user's, is wrong; the message names the file and the line or field."""


class StorageError(PodcastError, OSError):
    """A file or blob could not be read or written."""


class NotFoundError(StorageError, FileNotFoundError):
    """There is no such file, where any other StorageError leaves open whether there is."""


class ServiceError(PodcastError, ConnectionError):
    """A server (Label Studio, the ML backend) answered with an error."""


class UnavailableError(ServiceError):
    """A server is away, restarting or overloaded: the same request may work in a while."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item that was left out of a batch, and why.

    `where` names the file, task or session, with the line or field; `reason` says what was found and what was expected.
    """

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Notice(Refusal):
    """A part of an item that was left out, or that could not be told, while the item itself was taken."""
