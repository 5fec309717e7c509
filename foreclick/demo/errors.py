from __future__ import annotations

from foreclick.errors import ForeclickError


class DemoError(ForeclickError):
    """The demo could not be run to its end."""
