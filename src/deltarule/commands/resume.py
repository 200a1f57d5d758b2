"""``deltarule resume``: a run goes on where it was saved last, to the same bits as if it had never ended."""

from __future__ import annotations

import click

from deltarule import options


@click.command("resume")
@click.argument("run", metavar="DIR")
@click.option("-o", "--output", metavar="FILE", help="Model file to write; the one named then if not given.")
@options.every
@options.quiet
@options.as_json
def resume(run: str, output: str | None, every: float, quiet: bool, as_json: bool) -> None:
    """Go on with the run in a folder DIR that `train --run` made.

    The table is read again and must hold the same rows. The model comes out the same, byte for byte, as if the run had
    never been interrupted. A run that has ended only writes its model once more.
    """
    from deltarule.commands.finishing import check_outputs, check_picture, finish
    from deltarule.interrupts import sigterm_raises
    from deltarule.resuming import begun, go_on
    from deltarule.terminal import progress_bar

    call = begun(run)
    output = call.caller.get("output") if output is None else output
    curve = call.caller.get("curve")
    check_outputs([output, curve], [call.source])
    check_picture("--curve", curve)
    with sigterm_raises() as terminator, progress_bar(quiet) as observe:
        model = go_on(call, every, observe, "keep")
    finish(model, output, curve, as_json, terminator.status, run)
