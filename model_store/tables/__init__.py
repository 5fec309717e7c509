"""Event tables on disk: a log of any length becomes one in memory that does not grow with it.

`build_table` reads events in any order. Packed rows go into a fixed number of partition files, by a hash of
the user; each partition is then sorted by user and time on its own, and appended to the table. So at most
one partition is in memory at a time. A `StoredTable` is an `EventTable` over memory-mapped arrays.
"""

from model_store.tables.building import build_table
from model_store.tables.stored import StoredTable

__all__ = ["StoredTable", "build_table"]
