"""`podcast serve`: the old Pod.Cast API in front of Label Studio."""

from __future__ import annotations

from typing import Any

import click

from cli.output import say
from cli.servers import connect, task_audio
from podcast.settings import load_settings


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5001, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Processes, of four threads each.")
@click.option("--origin", default="", metavar="https://HOST", help="Let a page at this other origin call it (CORS).")
def serve_command(host: str, port: int, workers: int, origin: str) -> None:
    """Serve the three addresses of the Pod.Cast API of 2019, so that its page works on rounds in Label Studio.

    Whoever reaches it may submit, under the account of LABEL_STUDIO_API_KEY: put a login in front of it. Ctrl-C ends it.
    """
    from gunicorn.app.base import BaseApplication  # only this command needs it, and Flask

    from legacy.api import create_app

    settings = load_settings()
    server = connect(settings)
    server.version()  # a wrong address or key is told now, and not to the first volunteer
    app = create_app(server, task_audio(settings), origin)

    class Gunicorn(BaseApplication):  # type: ignore[misc]
        """gunicorn with the options of this command."""

        def load_config(self) -> None:
            for name, value in {
                "bind": f"{host}:{port}",
                "workers": workers,
                "threads": 4,
                "control_socket_disable": True,
            }.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return app

    say(f"The Pod.Cast API is at http://{host}:{port}; Ctrl-C ends it.", err=True)
    Gunicorn().run()
