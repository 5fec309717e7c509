"""How foreclick's topics are named."""

from __future__ import annotations


class TopicNames:
    """Names the topics of whoever has a ``topic_prefix``; mixed into what is told one."""

    __slots__ = ()

    topic_prefix: str

    @property
    def events_topic(self) -> str:
        """The topic that events arrive in."""
        return f"{self.topic_prefix}.events"

    @property
    def predictions_topic(self) -> str:
        """The topic that predictions are published to."""
        return f"{self.topic_prefix}.predictions"

    @property
    def dead_letters_topic(self) -> str:
        """The topic that records end in which get no prediction."""
        return f"{self.topic_prefix}.dead-letters"

    @property
    def replays_topic(self) -> str:
        """The topic that remembers which dead letters were put back."""
        return f"{self.topic_prefix}.replays"

    @property
    def ledger_topic(self) -> str:
        """The topic that remembers which model scored each partition from which offset on."""
        return f"{self.topic_prefix}.ledger"
