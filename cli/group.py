"""What every command has in common: old names of options, no empty words, and failures: one line or one object, and a status.

The one place where errors become exit statuses (docs/adr/0075): 2 for what the user got wrong, a named file that is not there
included; 1 for services and disks; 130 for Ctrl-C.
"""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from typing import Any, NoReturn

import click

from cli.output import print_json, say
from podcast.errors import InputError, NotFoundError, PodcastError
from podcast.redact import one_line

INTERRUPTED = 130
AS_JSON = "cli.group.as_json"
RENAMED = {("train", "--from"): "--start-from", ("train", "--run"): "--to"}
"""Options by their old names, which work for one release more: what stood for several things has one name for each."""

_USERS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class Podcast(click.Group):
    """The group of all commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether machines are listening, before anything can fail."""
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, and its words with old names replaced. Raises InputError for an empty one."""
        name, command, words = super().resolve_command(ctx, args)
        words = [_today(name, word) for word in words]
        if command:
            _refuse_empty(command, words)
        return name, command, words

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every failure that somebody foresaw becomes one line or one object."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ctx.command_path
            _fail(ctx, f"{error.format_message().rstrip('.')}; see {where} --help", 2)
        except PodcastError as error:
            _fail(ctx, str(error), _status(error))
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads on
        except OSError as error:
            # Files of the user have names; what has none is temporary, once there was anything temporary.
            unnamed = f"a temporary file in {tempfile.tempdir}" if tempfile.tempdir else "a file"
            _fail(ctx, f"{error.filename or unnamed}: {error.strerror or error}", _status(error))
        except sqlite3.Error as error:
            _fail(ctx, f"a database below .podcast, or a temporary one, failed: {error}", 1)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted; run the same command again to go on", INTERRUPTED)


def _status(error: Exception) -> int:
    cause = error.__cause__ if isinstance(error, PodcastError) else error
    users = isinstance(error, InputError | NotFoundError) or isinstance(cause, _USERS)
    return 2 if users or (isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG) else 1


def _fail(ctx: click.Context, message: str, status: int) -> NoReturn:
    message = " ".join(message.split())
    if ctx.meta[AS_JSON]:
        print_json({"error": one_line(message), "exit": status})
    else:
        say(message if status == INTERRUPTED else f"error: {message}", err=True)
    ctx.exit(status)


def _today(command: str | None, word: str) -> str:
    old, equals, value = word.partition("=")
    new = RENAMED.get((command or "", old))
    if new is None:
        return word
    say(f"notice: {old} is called {new} now; the old name goes with the next release", err=True)
    return f"{new}{equals}{value}"


def _refuse_empty(command: click.Command, words: list[str]) -> None:
    """Raise InputError for an empty word, unless the option's own default is empty: it is a variable that was never set."""
    may_be_empty = {name for option in command.params if option.default == "" for name in option.opts}
    for previous, word in zip(["", *words], words, strict=False):
        if word == "--":
            return
        if not word or (word.startswith("--") and word.endswith("=")):
            name = word[:-1] or previous
            if name not in may_be_empty:
                raise InputError(f"{name if name.startswith('-') else 'an argument'} is empty; leave it out, or say what it is")
