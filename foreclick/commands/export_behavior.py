from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreclick.errors import ForeclickError
from foreclick.evaluation_job import table_of
from foreclick.log_options import LogSource, reads_log
from foreclick.progress import shown_progress


@reads_log
def export_behavior(
    source: LogSource,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the CSV goes.")] = Path(
        "user_behavior.csv"
    ),
) -> None:
    """Write the CSV of the naive example from any log: purchase, browse, next_browse.

    A row is an event, in order of time over all users. purchase is 1 if it is a purchase, browse if it is a
    view or a search, and next_browse if the user's next event in the same session is a view or a search.

    Examples:

        foreclick export-behavior 2019-Oct.csv --format rees46

        foreclick export-behavior clicks.csv --format csv --map user_id=visitor --out user_behavior.csv
    """
    from model_store.baselines.behavior import Behavior, write_behavior

    behavior = Behavior.of(table_of(source))
    try:
        with shown_progress("writing", len(behavior.purchase)) as update:
            write_behavior(out, behavior, lambda rows: update(rows, f"{rows:,} rows"))
    except OSError as error:
        raise ForeclickError(f"cannot write {out}: {error}; make room there or name another file") from error
    typer.echo(
        f"{out}: {len(behavior.purchase):,} rows, of which {int(behavior.next_browse.sum()):,} browse next"
    )
