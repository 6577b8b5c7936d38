"""The command line: one command a file. Nothing heavy is imported before the command that needs it runs."""

from __future__ import annotations

import os
import sys
from types import MappingProxyType
from typing import Any, NoReturn, TextIO, cast

import click

from featkit import plugins
from featkit.cli.audit import audit
from featkit.cli.augment import augment
from featkit.cli.benchmark import benchmark
from featkit.cli.common import Commands, hush_joblib
from featkit.cli.compare import compare
from featkit.cli.completion import offer_names
from featkit.cli.data import data
from featkit.cli.demo import demo
from featkit.cli.evaluate import evaluate
from featkit.cli.export import export
from featkit.cli.extract import extract
from featkit.cli.fit import fit
from featkit.cli.info import info
from featkit.cli.list_ import list_plugins
from featkit.cli.output import Output, OutputError
from featkit.cli.predict import predict
from featkit.cli.serve import serve
from featkit.cli.store import store
from featkit.cli.stream import stream
from featkit.cli.tune import tune
from featkit.cli.verify import verify
from featkit.errors import FeatkitError


class _Commands(Commands):
    """Answers every featkit error with one line and exit code 1; wrong usage is click's, with exit code 2."""

    elsewhere = MappingProxyType(
        {
            "train": "fit", "learn": "fit", "infer": "predict", "classify": "predict", "recognise": "predict",
            "recognize": "predict", "features": "extract", "convert": "export", "score": "evaluate",
            "test": "evaluate", "search": "tune", "optimise": "tune", "optimize": "tune", "live": "stream",
            "listen": "stream", "corpora": "data", "datasets": "data",
        }
    )  # fmt: skip

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except KeyboardInterrupt:
            _stop(ctx)
        except BrokenPipeError:  # the reader of a pipe has had enough
            sys.stderr.close()
            ctx.exit(0)
        except Exception as error:
            if _came_of_an_interrupt(error):
                _stop(ctx)
            if ctx.params.get("debug") or isinstance(error, OutputError):  # which `main` answers, of --help as well
                raise
            from featkit.decoding import shown

            if isinstance(error, ModuleNotFoundError):
                error = plugins.missing(error, f"command '{ctx.invoked_subcommand}'")
            kind = "" if isinstance(error, (FeatkitError, OSError)) else f"{type(error).__name__}: "
            click.echo(f"Error: {kind}{shown(' '.join(str(error).split()))}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


def _stop(ctx: click.Context) -> NoReturn:
    click.echo("Stopped.", err=True)
    ctx.exit(130)


def _came_of_an_interrupt(error: BaseException | None) -> bool:
    """A module that Ctrl-C stops while it is imported tells of it as another error."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="featkit", message="featkit %(version)s")
def cli(debug: bool) -> None:
    """Speech emotion recognition: features, backends, honest scores, one ONNX file.

    \b
    featkit demo                                        the whole road on synthetic speech
    featkit evaluate --data emodb:PATH                  a score that stands
    featkit fit --data emodb:PATH -o model.onnx         a model to ship
    featkit predict model.onnx *.wav                    labels
    featkit stream model.onnx                           labels while you speak
    """


for _command in (
    extract, store, augment, audit, fit, evaluate, tune, benchmark, compare, verify, predict, stream, serve, export,
    info, list_plugins, data, demo,
):  # fmt: skip
    cli.add_command(_command)
offer_names(cli)


def main() -> None:
    """Entry point."""
    # A file name that is no text of the terminal's encoding is shown escaped, and ends no run.
    for out in (sys.stdout, sys.stderr):
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="backslashreplace")
    hush_joblib()
    # joblib cleans up behind workers that Ctrl-C ended, in a process of its own that tells of it; this it listens to.
    others = os.environ.get("PYTHONWARNINGS", "")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, ["ignore:resource_tracker:UserWarning", others]))
    if sys.stdout is None:  # a shell has closed it
        cli(prog_name="featkit")
    output = Output(sys.stdout)
    sys.stdout = cast("TextIO", output)
    try:
        cli(prog_name="featkit")
    except OutputError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    finally:
        output.settle()
