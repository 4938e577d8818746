"""The driver's page, rendered on the server, and the application that holds it; works without a script."""

from dataclasses import replace
from importlib.resources import files
from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from aggregator_agents.drivers import endpoints, troubles
from aggregator_agents.drivers.chart import chart
from aggregator_agents.drivers.desk import PlugView, PowerPlan, StayView, outlook
from aggregator_agents.drivers.form import Slip, Typed, days_ahead, read_form, typed_of
from aggregator_agents.drivers.guard import Guarded, is_forged
from aggregator_agents.drivers.reception import Declined, Reception, ReceptionOf, Trouble, reception_of
from aggregator_agents.drivers.rendering import address_of, rendered, words_of
from aggregator_agents.drivers.wishes import MoreThanItTakes, MoreThanPossible, Objection, Wish, WishRefused
from aggregator_agents.drivers.words import FIELD, Words

_ASSETS: Final = {"driver.css": "text/css", "driver.js": "text/javascript"}
_MOST_ROWS: Final = 40
_SEAT_DAYS: Final = 8

pages = APIRouter(include_in_schema=False)
Field = Annotated[str, Form(max_length=40)]


def create_driver_app(reception: Reception) -> FastAPI:
    """The application: pages below /p, endpoints below /v1, both for who has the code of a plug."""
    app = FastAPI(title="flexmarket for drivers", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    app.state.reception = reception
    app.add_middleware(Guarded)
    troubles.install(app)
    app.include_router(endpoints.router)
    app.include_router(pages)
    return app


@pages.get("/p/{code}")
async def plugrendered(code: str, request: Request, reception: ReceptionOf) -> HTMLResponse:
    """A plug: the stay for who has its seat, a door for anybody else."""
    view = await reception.plug(code)
    stay = reception.stay(view, request.cookies.get(_cookie(reception)))
    if stay is None:
        return _door(request, view, code)
    session = stay.session
    said = reception.said(stay)
    wh_per_km = None if said is None else said.wish.wh_per_km
    efficiency = session.vehicle.efficiency
    typed = typed_of(session.departs, session.energy_wh, wh_per_km, zone=reception.zone, efficiency=efficiency)
    typed = replace(typed, priority=said is not None and said.wish.priority)
    return _stay(request, view, stay, code, typed, ())


@pages.post("/p/{code}/seat")
async def take_seat(code: str, request: Request, reception: ReceptionOf, proof: Field = "") -> Response:
    """Take the seat, by a button and not by opening the address: previews and scanners open addresses, too."""
    view = await reception.plug(code)
    _refuse_forged(request, view, proof, "", code)
    secret = await reception.take_seat(view, code)
    answer = RedirectResponse(address_of(request, code), status_code=303)
    if secret is not None:
        answer.set_cookie(
            _cookie(reception),
            secret,
            max_age=_SEAT_DAYS * 86_400,
            path=address_of(request, code),
            secure=reception.secure,
            httponly=True,
            samesite="lax",
        )
    return answer


@pages.post("/p/{code}/wish")
async def say(
    code: str,
    request: Request,
    reception: ReceptionOf,
    day: Field = "",
    time: Field = "",
    amount: Field = "",
    unit: Field = "kwh",
    per_100km: Field = "",
    priority: Field = "",
    instead_kwh: Field = "",
    proof: Field = "",
) -> Response:
    """Say what is wanted; then back to the page, or the form again with what is wrong beside each field."""
    view = await reception.plug(code)
    secret = request.cookies.get(_cookie(reception), "")
    stay = reception.stay(view, secret)
    if stay is None:
        raise Declined(Trouble.OVER, code)
    _refuse_forged(request, view, proof, secret, code)
    typed = Typed(day, time, amount, unit, per_100km, bool(priority), instead_kwh)
    read = read_form(typed, zone=reception.zone, efficiency=stay.session.vehicle.efficiency)
    if not isinstance(read, Wish):
        return _stay(request, view, stay, code, typed, read)
    try:
        await reception.say(stay, read, code)
    except WishRefused as failure:
        return _stay(request, view, stay, code, typed, failure.objections)
    return RedirectResponse(address_of(request, code), status_code=303)


@pages.get("/p/{code}/{rest:path}")
async def elsewhere(code: str, rest: str, request: Request) -> RedirectResponse:
    """Where a form was sent to, opened again: the page that it is on."""
    return RedirectResponse(address_of(request, code), status_code=303)


@pages.get("/assets/{name}")
async def asset(name: str) -> Response:
    """Style and script."""
    if name not in _ASSETS:
        raise Declined(Trouble.NOT_FOUND)
    body = (files("aggregator_agents.drivers") / "assets" / name).read_bytes()
    return Response(body, media_type=_ASSETS[name], headers={"Cache-Control": "max-age=3600"})


def _door(request: Request, view: PlugView, code: str) -> HTMLResponse:
    reception = reception_of(request)
    door = reception.door(view, reception.clock())
    proof = "" if view.stay is None else reception.codes.proof("", view.plug, view.stay.session.id)
    minutes = round(reception.seat_within.total_seconds() / 60)
    return rendered("door.html", request, view=view, code=code, door=door, proof=proof, minutes=minutes)


def _stay(
    request: Request, view: PlugView, stay: StayView, code: str, typed: Typed, wrong: tuple[Objection | Slip, ...]
) -> HTMLResponse:
    reception, now, words = reception_of(request), reception_of(request).clock(), words_of(request)
    said, session = reception.said(stay), stay.session
    in_plan = stay.is_planned_with(None if said is None else said.wish)
    found = outlook(stay, now) if in_plan else None
    picture = None
    if stay.plan is not None and stay.plan.edges[-1] > now:
        picture = chart(
            stay.plan,
            now=now,
            departs=session.departs,
            ready_at=None if found is None else found.ready_at,
            most_w=stay.most_w,
            zone=reception.zone,
            clock=words.clock_format,
        )
    secret = request.cookies.get(_cookie(reception), "")
    return rendered(
        "stay.html",
        request,
        status=422 if wrong else 200,
        view=view,
        code=code,
        stay=stay,
        said=said,
        in_plan=in_plan,
        outlook=found,
        picture=picture,
        rows=_rows(stay.plan, words) if stay.plan else (),
        typed=typed,
        wrong={FIELD[type(each)]: words.sentence(each) for each in wrong},
        instead_kwh=next((_instead_kwh(each) for each in wrong if _instead_kwh(each)), None),
        days=days_ahead(now, reception.zone),
        allowance=reception.allowance(stay, now),
        proof=reception.codes.proof(secret, view.plug, session.id),
    )


def _instead_kwh(objection: Objection | Slip) -> float | None:
    """What could be asked for in place of a refused amount [kWh]; None where nothing could."""
    return objection.most_wh / 1000 if isinstance(objection, MoreThanPossible | MoreThanItTakes) else None


def _rows(plan: PowerPlan, words: Words) -> tuple[tuple[str, str], ...]:
    """When the power of the plan changes, and to what, from now on; in words."""
    steps = zip(plan.edges[1:], plan.edges, plan.power_w, strict=False)
    ahead = [(begin, words.power(power_w)) for end, begin, power_w in steps if end > words.now]
    firsts = [next(group) for _, group in groupby(ahead, key=lambda each: each[1])]
    return tuple((words.time(max(begin, words.now)), power) for begin, power in firsts[:_MOST_ROWS])


def _refuse_forged(request: Request, view: PlugView, proof: str, secret: str, code: str) -> None:
    """Decline a form that this browser was not shown for this stay."""
    if view.stay is None:
        raise Declined(Trouble.EMPTY, code)
    proven = reception_of(request).codes.proves(proof, secret, view.plug, view.stay.session.id)
    if is_forged(request.headers) or not proven:
        raise Declined(Trouble.FORGED, code)


def _cookie(reception: Reception) -> str:
    return "__Secure-seat" if reception.secure else "seat"
