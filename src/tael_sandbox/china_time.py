"""China's time, and the form ``yyyy-MM-dd HH:mm:ss`` in which Chinese channels write it, without a zone."""

from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
_FORM = "%Y-%m-%d %H:%M:%S"


def china_time(at_ms: int) -> str:
    """A moment in that form."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA).strftime(_FORM)


def read_china_time(text: str) -> int | None:
    """The moment in milliseconds; None when the text is not written like that."""
    try:
        return int(datetime.strptime(text, _FORM).replace(tzinfo=CHINA).timestamp()) * 1000
    except ValueError:
        return None
