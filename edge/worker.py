"""The Worker at Cloudflare's edge: its entry points. The only file that imports `workers`.

Knows requests, alarms, messages and crons, and which part of `station` each is for. Decides nothing. Nothing
here draws entropy or reads a clock at import: the runtime refuses a Worker that does.
"""

import json
import random
import time
from urllib.parse import urlsplit

import js
from pyodide.ffi import JsException, to_js
from workers import DurableObject, Response, WorkerEntrypoint

from runtime import DurableStorage, QueueOverflow, Web, WebCryptoKeys, config_of, js_object, py_bytes, verify
from station.admin import AdminRefused, Command, read_command
from station.assignment import assign
from station.backlog import Backlog
from station.config import Config, ConfigError
from station.cycle import Station
from station.status import group_document, refusals_of, status_document, status_page

SILENT_S = 15.0
_JSON = {"content-type": "application/json", "cache-control": "public, max-age=1"}
_HTML = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "cache-control": "public, max-age=1",
}


class Default(WorkerEntrypoint):
    """The entry points that `wrangler.toml` names: the web, the watchdog and the queue's consumer."""

    async def fetch(self, request):
        """`GET /` is a page, `GET /status` the same as JSON; `POST /admin` takes a signed request."""
        path, method = urlsplit(request.url).path, str(request.method)
        try:
            if path == "/admin" and method == "POST":
                return await self._admin(bytes((await request.js_object.arrayBuffer()).to_bytes()))
            if path not in ("/", "/status"):
                return _problem(404, "there is nothing here")
            if method != "GET":
                return _problem(405, "only GET is answered here")
            document = await self._status()
        except ConfigError as error:
            return _problem(500, str(error))
        if path == "/":
            return Response(status_page(document), headers=_HTML)
        return Response(json.dumps(document), headers=_JSON)

    async def scheduled(self, _controller, _env=None, _ctx=None):
        """The watchdog: tell each group its venues, and wake it if it is silent."""
        config = config_of(self.env)
        refusals = refusals_of(await self._documents(config))
        for name, venues in assign(config.groups, refusals, time.time()).items():
            await self._call(config, name, "wake", json.dumps(venues))

    async def queue(self, batch, _env=None, _ctx=None):
        """Batches that were set aside go back to their group, or wait until it has room."""
        config = config_of(self.env)
        for message in batch._binding.messages:
            try:
                group, sequence, encoded = bytes(message.body.to_bytes()).split(b"\n", 2)
                taken = await self._call(config, group.decode(), "refill", sequence.decode(), to_js(encoded))
            except (ConfigError, ValueError) as error:  # no delivery of it will ever be better
                js.console.error(f"queued_batch_unreadable {error}")
                taken = True
            except JsException as error:
                js.console.error(f"refill_failed {error}")
                taken = False
            if taken:
                message.ack()
            else:
                message.retry(js_object({"delaySeconds": config.queue_retry_s}))

    async def _status(self) -> dict[str, object]:
        config = config_of(self.env)
        return status_document(config, await self._documents(config), time.time())

    async def _admin(self, body: bytes):
        config = config_of(self.env)
        try:
            command: Command = await read_command(body, config.admin_keys, verify, time.time())
        except AdminRefused as error:
            return _problem(403, str(error))
        done = [
            await self._call(config, group.name, "command", command.action, command.sent_ms)
            for group in config.groups
        ]
        if not all(done):
            return _problem(409, "a request that is as new or newer was done before")
        return Response(json.dumps({"done": command.action}), headers={"content-type": "application/json"})

    async def _documents(self, config: Config) -> list[dict[str, object]]:
        """What each group tells; one that does not answer is left out."""
        documents = []
        for group in config.groups:
            try:
                documents.append(json.loads(await self._call(config, group.name, "status")))
            except JsException as error:
                js.console.error(f"group_silent {group.name} {error}")
        return documents

    async def _call(self, config: Config, name: str, method: str, *arguments: object):
        """Ask a group's object, which is made near its hint the first time."""
        group = config.group(name)
        groups = self.env.VENUE_GROUPS._binding
        stub = groups.get(groups.idFromName(name), js_object({"locationHint": group.hint}))
        return await getattr(stub, method)(name, *arguments)


class VenueGroup(DurableObject):
    """One group of venues. Its alarm is the cycle; all else is told by the Worker."""

    def __init__(self, ctx, env):
        self.ctx, self.env = ctx, env
        # The SDK's wrapper looks at each byte that goes through it; a batch has thousands.
        self._storage = ctx.storage._binding
        self._loaded: tuple[Station, Config, WebCryptoKeys] | None = None

    async def alarm(self, _info=None):
        """One cycle. The next alarm is set before it, so that no failure in it ends the collecting."""
        config = config_of(self.env)
        self._storage.setAlarm(int((time.time() + config.interval_s) * 1000))
        try:
            station, config, _ = await self._load(await self._name())
            await station.run()
            if station.is_idle:
                self._storage.deleteAlarm()
        except Exception as error:  # noqa: BLE001 - the loop's top: the next alarm tries again
            js.console.error(f"cycle_failed {type(error).__name__}: {error}")

    async def wake(self, name: str, venues: str) -> bool:
        """Take over the venues of an assignment, and start the alarm if it is due for long."""
        station, config, _ = await self._load(name)
        await station.assign(json.loads(venues))
        await self._rouse(station, config)
        return True

    async def status(self, name: str) -> str:
        station, config, keys = await self._load(name)
        return json.dumps(group_document(name, station, config, keys.present, time.time()))

    async def command(self, name: str, action: str, sent_ms: int) -> bool:
        """Do a verified admin request, once."""
        station, config, _ = await self._load(name)
        done = await station.command(action, int(sent_ms))
        await self._rouse(station, config)
        return done

    async def refill(self, name: str, sequence: str, encoded) -> bool:
        station, config, _ = await self._load(name)
        taken = await station.backlog.refill(int(sequence), py_bytes(encoded))
        await self._rouse(station, config)
        return taken

    async def _rouse(self, station: Station, config: Config) -> None:
        alarm_ms = await self._storage.getAlarm()
        overdue_ms = (time.time() - SILENT_S - config.interval_s) * 1000
        if not station.is_idle and (not isinstance(alarm_ms, int | float) or alarm_ms < overdue_ms):
            self._storage.setAlarm(int(time.time() * 1000))

    async def _name(self) -> str:
        name = await self._storage.get("name")
        if not isinstance(name, str):
            raise ConfigError("an alarm came before the group was told its name")
        return name

    async def _load(self, name: str) -> "tuple[Station, Config, WebCryptoKeys]":
        """The station, made from storage once in this object's life."""
        if self._loaded is None:
            config = config_of(self.env)
            keys = await WebCryptoKeys.of(self.env)
            storage, web = DurableStorage(self._storage), Web(config)
            backlog = Backlog(
                slot=config.group(name).slot,
                config=config,
                storage=storage,
                overflow=QueueOverflow(self.env.OVERFLOW._binding, name),
                keys=keys,
                post=web.post,
                clock=time.time,
            )
            station = Station(
                config=config,
                backlog=backlog,
                storage=storage,
                ask=web.ask,
                clock=time.time,
                random=random.random,
            )
            await station.load()
            await self._storage.put("name", name)
            self._loaded = station, config, keys
        return self._loaded


def _problem(status: int, detail: str):
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    return Response(json.dumps({"status": status, "detail": detail}), status=status, headers=headers)
