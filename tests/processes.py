"""A cloud aggregator and chargers as processes of their own, and what the vehicles drew by the chargers' journals."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aggregator_agents.charging.ocpp.credentials import hashed

_TREE = Path(__file__).parents[1]
_PASSWORD = "a-secret-of-16-c"
_COMMAND = "import sys; sys.argv[0] = 'flex-aggregator'; from aggregator_agents.cli import main; main()"
TTL_S = 3.0
ACTS_EVERY_S = 0.2
LAG_S = 1.0
"""Of leases and of vehicles, short, so that much happens in little time; a vehicle follows after half of it."""

Phases = tuple[float, float, float]
_NOTHING: Phases = (0.0, 0.0, 0.0)


@dataclass
class Yard:
    """A site whose parts can be stopped and killed."""

    folder: Path
    chargers: tuple[str, ...]
    fuse_a: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """The cloud, or a charger."""
        if name == "cloud":
            what = ["serve", "--config", str(self.folder / "cloud.toml"), "--log", "warning"]
        else:
            what = ["chargers", "--config", str(self.folder / "chargers.toml"), "--only", name]
            what += ["--journal", str(self.folder / f"{name}.jsonl")]
        with (self.folder / f"{name}.err").open("ab") as errors:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *what], cwd=_TREE, stderr=errors, stdin=subprocess.DEVNULL
            )

    def send(self, name: str, what: signal.Signals) -> None:
        """SIGSTOP, SIGCONT or SIGKILL."""
        self.running[name].send_signal(what)
        if what is signal.SIGKILL:
            self.running.pop(name).wait()

    def journal(self, charger: str) -> list[tuple[float, Phases]]:
        """(monotonic second, amps on L1, L2, L3) of a charger, in order."""
        file = self.folder / f"{charger}.jsonl"
        # The last line may be half written when the process was killed or is still writing.
        texts = file.read_text().split("\n")[:-1] if file.exists() else []
        lines = (json.loads(text) for text in texts if text.endswith("}"))
        return [(line["t_s"], tuple(line["current_a"])) for line in lines]

    def drawn_a(self, charger: str) -> float:
        """Now, on its most loaded phase; 0 of one whose journal does not go on."""
        file = self.folder / f"{charger}.jsonl"
        texts = file.read_bytes()[-1000:].split(b"\n")[-2:-1] if file.exists() else []
        lines = [json.loads(text) for text in texts if text.startswith(b"{")]
        return max((max(line["current_a"]) for line in lines if line["t_s"] > time.monotonic() - 1.0), default=0.0)

    def total_a(self, *chargers: str) -> float:
        """Of these chargers now, or of all, on their most loaded phases."""
        return sum(self.drawn_a(each) for each in chargers or self.chargers)

    def peak_a(self, *, goes_on_s: float) -> float:
        """The highest sum on any phase at any instant.

        Between two lines a charger counts with the higher of them. One whose journal stops for a while is taken to go
        on with what it drew last for `goes_on_s`, as the hardware of a charger does whose controller was killed.
        """
        events: list[tuple[float, str, Phases]] = []
        for charger in self.chargers:
            lines = self.journal(charger)
            for (at_s, amps), (until_s, after) in zip(
                lines, [*lines[1:], (float("inf"), (0.0, 0.0, 0.0))], strict=True
            ):
                if until_s - at_s > 1.0:
                    events += [(at_s, charger, amps), (at_s + goes_on_s, charger, _NOTHING)]
                else:
                    events.append((at_s, charger, _higher(amps, after)))
        now = dict.fromkeys(self.chargers, _NOTHING)
        peak_a = 0.0
        for _, charger, amps in sorted(events):
            now[charger] = amps
            peak_a = max(peak_a, *(sum(each[phase] for each in now.values()) for phase in range(3)))
        return peak_a


@contextmanager
def running_yard(folder: Path, *, chargers: int, fuse_a: int) -> Iterator[Yard]:
    """Chargers with a plug and a vehicle each; all killed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ids = tuple(f"lot-{number}" for number in range(1, chargers + 1))
    (folder / "cloud.toml").write_text(_cloud_file(ids, fuse_a, port))
    (folder / "chargers.toml").write_text(_chargers_file(ids, fuse_a // chargers, port))
    yard = Yard(folder, ids, fuse_a)
    try:
        for name in ("cloud", *ids):
            yard.start(name)
        yield yard
    finally:
        for process in yard.running.values():
            process.kill()
            process.wait()


def _cloud_file(ids: tuple[str, ...], fuse_a: int, port: int) -> str:
    password_hash = hashed(_PASSWORD)
    chargers = "".join(f'[[site.chargers]]\nid = "{id}"\nplugs = [{{ id = "{id}-1" }}]\n' for id in ids)
    stations = "".join(
        f'[stations."{id}"]\npassword_hash = "{password_hash}"\nvirtual_aggregator = "own"\n' for id in ids
    )
    return f"""
[site]
bus = "lot"
fuse_a = {fuse_a}
{chargers}
[listen]
port = {port}
profile = 1
[timing]
ttl_s = {TTL_S}
ask_every_s = 0.5
act_every_s = {ACTS_EVERY_S}
lag_s = {LAG_S}
guard_s = 1.5
{stations}"""


def _chargers_file(ids: tuple[str, ...], floor_a: int, port: int) -> str:
    points = ""
    for id in ids:
        points += f"""
[[charge_points]]
id = "{id}"
plugs = 1
security = {{ password = "{_PASSWORD}" }}
[[charge_points.arrivals]]
wants_wh = 20000
behaviour = {{ lag_s = {LAG_S / 2}, ramp_up_w_per_s = 1e6, ramp_down_w_per_s = 1e6, charging_bias_w = 0.0 }}
"""
    return f"""
url = "ws://127.0.0.1:{port}/ocpp"
answers_within_s = 2.0
retry_s = 0.3
acts_every_s = {ACTS_EVERY_S}
records_every_s = 0.1
[leases]
floor_a = {floor_a}
ttl_s = {TTL_S}
ask_every_s = 0.5
act_every_s = {ACTS_EVERY_S}
lag_s = {LAG_S}
{points}"""


def _higher(one: Phases, other: Phases) -> Phases:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])
