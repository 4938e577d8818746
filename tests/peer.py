"""The independent OCPP implementation (npm `ocpp-rpc`) as a process: what it tells, and what it is to call."""

import asyncio
import fcntl
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "peers"
Line = dict[str, Any]


def install() -> None:
    """With exactly the packages of its lock; skips the test where that is not possible."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm here, so no independent OCPP peer")
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (FOLDER / "node_modules" / "ocpp-rpc" / "package.json").exists():
            return
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        pytest.skip(f"the independent OCPP peer cannot be installed: {done.stderr.strip()[-300:]}")


class Peer:
    """Lines that the peer has told so far, and its standard input."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[Line] = []
        self._more = asyncio.Condition()

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for text in self._process.stdout:
            async with self._more:
                self.lines.append(json.loads(text))
                self._more.notify_all()

    async def told(self, is_it: Callable[[Line], bool], *, within_s: float = 10.0) -> Line:
        """The first line of that kind, when it comes."""

        def found() -> Line | None:
            return next((line for line in self.lines if is_it(line)), None)

        async with self._more:
            try:
                await asyncio.wait_for(self._more.wait_for(lambda: found() is not None), within_s)
            except TimeoutError:
                raise AssertionError(f"not told within {within_s:g} s; instead {self.lines}") from None
            line = found()
            assert line is not None
            return line

    async def ask(self, action: str, payload: Line) -> Line:
        """Have it call, and the answer that it got."""
        before = len(self.lines)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"action": action, "payload": payload}).encode() + b"\n")
        await self._process.stdin.drain()
        await self.told(lambda line: line.get("asked") == action and line in self.lines[before:])
        line = next(line for line in self.lines[before:] if line.get("asked") == action)
        assert "answer" in line, line
        answer: Line = line["answer"]
        return answer

    def violations(self) -> list[Line]:
        """What broke the schemas of the standard, in either direction."""
        return [line for line in self.lines if "violation" in line or line.get("answered") is False]


@asynccontextmanager
async def running_peer(script: str, *arguments: str) -> AsyncIterator[Peer]:
    """The script of the peer's folder as a process."""
    install()
    process = await asyncio.create_subprocess_exec(
        *("node", str(FOLDER / script), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    peer = Peer(process)
    listening = asyncio.create_task(peer.listen())
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening
