"""The independent check of a run: reads the topics whole and accounts for every record.

Nothing here imports from ``streamer``. What the streamer should have done is worked out again, from
the records alone, so that an error there cannot hide itself here.
"""
