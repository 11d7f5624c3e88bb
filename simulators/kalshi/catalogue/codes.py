"""The dates and hours inside a ticker."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
# not strftime's %b, which follows the machine's language
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def date_code(day: date) -> str:
    """Return a date as a ticker writes it: 26MAR16."""
    return f"{day.year % 100:02}{_MONTHS[day.month - 1]}{day.day:02}"


def hour_code(moment: datetime) -> str:
    """Return an hour of New York as a ticker writes it: 26MAR1620 is eight in the evening."""
    local = moment.astimezone(NEW_YORK)
    return f"{date_code(local.date())}{local.hour:02}"


def spoken_date(day: date) -> str:
    """Return a date as a title writes it: Mar 16, 2026."""
    return f"{_MONTHS[day.month - 1].title()} {day.day}, {day.year}"
