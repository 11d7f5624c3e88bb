"""Climate reports of Central Park: which are issued when, and how they are found.

Highs and lows are the recorded ones. Each climate day has a preliminary report in the afternoon, with what was observed
until 16:00 standard time, and a final one in the night; one final report in eight is issued again as a correction,
which changes the rain and not the temperature. Hours, rain and corrections are SYNTHETIC.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulators.nws.climate_text import climate_text
from simulators.nws.place import CENTRAL_PARK, LA_GUARDIA, LA_GUARDIA_WARMER_F, OFFICE_STATION, Station
from simulators.nws.replies import CONTEXT, LINKED_DATA, invalid, missing, reply
from simulators.recordings.climate import (
    climate_day,
    date_of,
    final_report_time,
    midnight,
    preliminary_report_time,
)
from simulators.recordings.seeded import share
from simulators.recordings.thermometer import high_time, low_time, observed
from simulators.rest.faults import Json
from simulators.rest.service import Call
from simulators.rest.transport import Response

_KEPT_DAYS, _LIMIT = 7, 500
_CORRECTED_SHARE = 1 / 8
_CORRECTION_DELAY = timedelta(minutes=75)
_MISSING_HOURS, _WRONG_DEGREES = 24.0, 2
_AFTERNOON = timedelta(hours=16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One report: what it says about which day, and when it was issued."""

    day: date
    issued: datetime
    final: bool
    correction: bool
    high_f: int
    low_f: int
    high_at: datetime
    low_at: datetime
    rain_in: str

    @property
    def id(self) -> str:
        """Return the identifier the service knows it by."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"CLINYC {self.issued.isoformat()} {self.day} {self.high_f}"))


def issued_products(call: Call) -> list[Product]:
    """Return the reports that were issued until now and are still kept, the newest first."""
    wrong = call.fault("corrected_cli")
    today = date_of(call.now)
    days = [today - timedelta(days=back) for back in range(_KEPT_DAYS + 2)]
    found = [product for day in days for product in _of_day(day, wrong) if product.issued <= call.now]
    if (silent := call.fault("no_cli")) is not None:
        until = call.now - timedelta(hours=silent.get("hours", _MISSING_HOURS))
        found = [product for product in found if product.issued <= until]
    kept = call.now - timedelta(days=_KEPT_DAYS)
    return sorted((one for one in found if one.issued > kept), key=lambda one: one.issued, reverse=True)


def _of_day(day: date, wrong: Json | None) -> list[Product]:
    preliminary, final = _preliminary(day), _final(day)
    if wrong is None:
        corrected = share("correction", day) < _CORRECTED_SHARE
        return [preliminary, final, _correction(final)] if corrected else [preliminary, final]
    degrees = wrong.get("degrees", _WRONG_DEGREES)
    if wrong.get("issue", "preliminary") == "preliminary":
        return [_colder(preliminary, degrees), final]
    return [preliminary, _colder(final, degrees), _correction(final)]


def _preliminary(day: date) -> Product:
    until = midnight(day) + _AFTERNOON
    _, high, low = observed(until)
    return Product(
        day=day, issued=preliminary_report_time(day), final=False, correction=False, high_f=round(high),
        low_f=round(low), high_at=min(high_time(day), until), low_at=low_time(day), rain_in="0.00", )  # fmt: skip


def _final(day: date) -> Product:
    recorded = climate_day(day)
    return Product(
        day=day, issued=final_report_time(day), final=True, correction=False, high_f=recorded.high_f,
        low_f=recorded.low_f, high_at=high_time(day), low_at=low_time(day), rain_in="0.00",
    )  # fmt: skip


def _correction(final: Product) -> Product:
    return Product(
        day=final.day, issued=final.issued + _CORRECTION_DELAY, final=True, correction=True, high_f=final.high_f,
        low_f=final.low_f, high_at=final.high_at, low_at=final.low_at, rain_in="T",
    )  # fmt: skip


def _colder(product: Product, degrees: int) -> Product:
    return Product(
        day=product.day, issued=product.issued, final=product.final, correction=False,
        high_f=product.high_f - degrees, low_f=min(product.low_f, product.high_f - degrees),
        high_at=product.high_at, low_at=product.low_at, rain_in=product.rain_in,
    )  # fmt: skip


def listed(call: Call) -> Response:
    """Answer ``/products/types/CLI/locations/NYC``."""
    text = call.request.query.get("limit", str(_LIMIT))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LIMIT:
        raise invalid("limit", f"expected 1 to {_LIMIT}; found {text!r}")
    heads = [_head(call, product) for product in issued_products(call)[: int(text)]]
    return reply({"@context": _CONTEXT, "@graph": heads}, LINKED_DATA)


def latest(call: Call) -> Response:
    """Answer ``/products/types/CLI/locations/NYC/latest``."""
    found = issued_products(call)
    if not found:
        raise missing("A product of type CLI for location NYC")
    return _whole(call, found[0])


def one(call: Call, product_id: str) -> Response:
    """Answer ``/products/{id}``."""
    for product in issued_products(call):
        if product.id == product_id:
            return _whole(call, product)
    raise missing(f"Product {product_id}")


_CONTEXT: dict[str, Any] = {"@version": "1.1", "@vocab": CONTEXT[1]["@vocab"]}


def _head(call: Call, product: Product) -> Json:
    return {
        "@id": f"{call.host}/products/{product.id}",
        "id": product.id,
        "wmoCollectiveId": "CDUS41",
        "issuingOffice": OFFICE_STATION,
        "issuanceTime": product.issued.astimezone(UTC).isoformat(),
        "productCode": "CLI",
        "productName": "Climate Report (Daily)",
    }


def _whole(call: Call, product: Product) -> Response:
    mixed_up = call.fault("wrong_station") is not None
    place: Station = LA_GUARDIA if mixed_up else CENTRAL_PARK
    warmer = LA_GUARDIA_WARMER_F if mixed_up else 0
    text = climate_text(product, place, warmer)
    return reply({"@context": _CONTEXT, **_head(call, product), "productText": text}, LINKED_DATA)


def types(call: Call) -> Response:
    """Answer ``/products/types/CLI/locations``."""
    return reply({"@context": _CONTEXT, "locations": {CENTRAL_PARK.climate_id: CENTRAL_PARK.name}}, LINKED_DATA)
