from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreclick.errors import ForeclickError
from foreclick.schemas import documents, text_of


def schema(
    name: Annotated[str, typer.Argument(help="Document to print; without one, their names.")] = "",
    out: Annotated[Path | None, typer.Option(help="Directory to write all documents to.")] = None,
) -> None:
    """Print the JSON Schema of events or predictions, or the AsyncAPI document of the topics.

    Examples:

        foreclick schema event.schema.json

        foreclick schema --out docs/schemas
    """
    made = documents()
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for each, document in made.items():
                (out / each).write_text(text_of(document), encoding="utf-8")
        except OSError as error:
            raise ForeclickError(
                f"cannot write to {out}: {error.strerror}; name another directory"
            ) from error
        return
    if name and name not in made:
        raise ForeclickError(f"there is no document {name}; there are {', '.join(made)}")
    typer.echo(text_of(made[name]) if name else "\n".join(made), nl=not name)
