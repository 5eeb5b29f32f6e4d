"""The command line: ``pointrend COMMAND``; each command is a module of this package, imported when it is called."""

from __future__ import annotations

import errno
import importlib
import os
from importlib.metadata import version
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from pointrend.errors import PointRendError
from pointrend.system.extras import explain

DISTRIBUTION = "pointrend-serve"
COMMANDS = {
    "up": ("up", "Serve a model and open the page, until Ctrl-C."),
    "predict": ("predict", "Segment images and save the results, one folder per format."),
    "correct": ("correct", "Correct the objects of an image, and write its results again."),
    "video": ("video", "Segment a video, and follow its objects through it."),
    "batch": ("batch", "Segment millions of images on Ray: sharded, and resumed after a crash."),
    "label-studio": ("label_studio", "Serve a model to Label Studio, which labels photos with it, until Ctrl-C."),
    "archive": ("archive", "Build a self-contained TorchServe archive of a model."),
    "export": ("export", "Write a model in another runtime's format: ONNX."),
    "weights": ("weights", "List, pull, convert and publish models."),
    "train": ("train", "Train or fine-tune a model."),
    "eval": ("evaluate", "Measure a model on labelled images: box, mask and boundary AP."),
    "bench": ("bench", "Measure speed: stages, engines, image sizes and numbers of instances."),
}
"""Each command's module, and its line in ``pointrend --help``, which must not wait for PyTorch."""

# What is wrong with a file that somebody named, rather than with this program.
_OF_THE_PLACE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


class LazyGroup(TyperGroup):
    """Lists all commands, and imports the one that is called."""

    # Typer brings click's classes under different names from version to version, hence Any.

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or, until it is called, its line of help alone."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name][1])
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that the arguments begin with."""
        name = args[0]
        if name in COMMANDS and name not in self.commands:
            module = importlib.import_module(f"pointrend.cli.{COMMANDS[name][0]}")
            self.add_command(typer.main.get_command(module.app), name)
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pointrend {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def pointrend(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """PointRend instance segmentation: serve it, use it on many images, train it, measure it."""


def main() -> None:
    """Run the command line; errors that this project raises on purpose are shown as a sentence, not a traceback."""
    try:
        app()
    except PointRendError as error:
        _fail(str(error))
    except ImportError as error:
        told = explain(error)
        if told is None:
            raise
        _fail(told)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _fail(f"The disk is full ({error.filename or 'no space left'}). Free some space and try again.")
        if error.errno not in _OF_THE_PLACE or error.filename is None:
            raise
        _fail(f"{os.fsdecode(error.filename)} cannot be read or written: {error.strerror}.")


def _fail(message: str) -> NoReturn:
    shown = message.encode(errors="backslashreplace").decode()  # names that are no UTF-8
    Console(stderr=True, soft_wrap=True).print(f"[bold red]pointrend:[/] {escape(shown)}", highlight=False)
    raise SystemExit(1)
