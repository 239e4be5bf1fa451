"""Partitions, as the sequence numbers of a partitioned entity tell them.

The topmost 16 bits of a number are the partition's, the other 48 count
(https://learn.microsoft.com/azure/service-bus-messaging/message-sequencing). Messages of one
session or of one partition key are in one partition; others go to each in turn.

Here all partitions are one queue, in order of arrival, that counts for all of them: the partition
is added where a number is shown, and taken off where one is given.
"""

from __future__ import annotations

from zlib import crc32

from orchestrator.localcloud.servicebus.limits import PARTITIONS

_BITS = 48
_COUNT = (1 << _BITS) - 1


def shown(sequence: int, session_id: str | None, partition_key: str | None) -> int:
    """The number of a message in a partitioned entity, as clients know it."""
    key = session_id or partition_key
    partition = crc32(key.encode("utf-8", "surrogatepass")) if key else sequence
    return partition % PARTITIONS << _BITS | sequence


def counted(number: int) -> int:
    """The sequence that clients know by that number."""
    return number & _COUNT if number > 0 else number
