"""
Makes pamqp take what RabbitMQ hands on, whatever it is.

RabbitMQ passes on text that is no UTF-8, times that no calendar has, and tables nested without end.
pamqp can't decode a frame that holds one, and its connection dies of it, again and again: one such
message would stop a whole stage, and in a stream for good. Here what can't be decoded is replaced,
so that the message is read, and refused for what it is.
"""

from datetime import UTC, datetime

from pamqp import decode
from pamqp.common import FieldTable, Struct

NO_TIME = datetime.max.replace(tzinfo=UTC)


def tolerate() -> None:
    """Have the properties of messages decoded tolerantly in this process, from now on."""
    decode.METHODS.update(shortstr=_text, timestamp=_time, table=_headers)


def _text(value: bytes) -> tuple[int, str]:
    try:
        return decode.short_str(value)
    except UnicodeDecodeError:
        end = value[0] + 1
        return end, value[1:end].decode(errors="replace")


def _time(value: bytes) -> tuple[int, datetime]:
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        return 8, NO_TIME


def _headers(value: bytes) -> tuple[int, FieldTable]:
    try:
        return decode.field_table(value)
    except (ValueError, OverflowError, OSError, KeyError, RecursionError) as error:
        length = Struct.integer.unpack(value[:4])[0]
        return 4 + length, {"undecodable": f"{type(error).__name__}: {error}"[:200]}
