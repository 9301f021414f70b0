"""Logging in to SSH servers: ~/.ssh/config, host keys checked always, jump hosts opened once and shared, prompts.

asyncssh opens a connection to a jump host for every target and hands it neither our host keys nor our prompts (read in
its source, 2.24): so each chain of jumps is opened here. A ProxyCommand of the user's own ~/.ssh/config is run, as ssh
would; nothing in a hosts file becomes one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import random
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import asyncssh

from controller import servers, wire
from controller.hostkeys import CheckingOff, KnownKeys, ShownKey
from controller.prompts import Prompts
from controller.servers import Target, about_key, ssh_words, why

AT_ONCE = 8  # connects at the same time to one sshd, whose MaxStartups drops some of more; also through one jump host
HOPS = 8  # longest chain of jump hosts
CLOSE_WITHIN = 5.0  # seconds for connections that are being made to give up
RETRY_AFTER = (0.5, 1.5)  # seconds, give or take half, before a login that was dropped is tried again
KEEPALIVE = {"keepalive_interval": 4, "keepalive_count_max": 3}

asyncssh.set_log_level("CRITICAL")  # what matters is raised; its log would end up on the screen

Connection = asyncssh.SSHClientConnection
Limit = Callable[[Any], asyncio.Semaphore]  # of an SSH server, however it is named


class LoginError(Exception):
    """Why a server can't be logged in to; one sentence. `key` is the server's, where it isn't trusted."""

    def __init__(self, text: str, key: ShownKey | None = None) -> None:
        super().__init__(text)
        self.key = key


class Logins:
    """SSH connections that share their jump hosts, their limits and a person's answers."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts
        self._limits: dict[Any, asyncio.Semaphore] = {}
        self._jumps: dict[tuple[Target, ...], asyncio.Task[Connection]] = {}

    async def open(self, target: Target, jumps: tuple[Target, ...] = ()) -> Connection:
        """Log in to `target` through `jumps`, or through what ~/.ssh/config says. Raises LoginError."""
        try:
            chain = await self._whole_chain(target, jumps)
        except (asyncssh.Error, OSError, ValueError) as error:
            raise LoginError(why(error, target, False)) from None
        return await self._open(target, chain)

    async def close(self) -> None:
        """Close the connections to jump hosts, and with them all that goes through them; give up what is asked."""
        self._prompts.close()
        for task in self._jumps.values():
            task.cancel()
        ended, _ = await asyncio.wait(self._jumps.values(), timeout=CLOSE_WITHIN) if self._jumps else ((), ())
        for task in ended:
            if not task.cancelled() and task.exception() is None:
                task.result().abort()

    async def _whole_chain(self, target: Target, jumps: tuple[Target, ...]) -> tuple[Target, ...]:
        """`jumps` with what ~/.ssh/config says of how to reach the first of them, as ssh -J does."""
        chain, first = jumps, jumps[0] if jumps else target
        while len(chain) <= HOPS:
            told = (await _options(first)).tunnel
            before = Target.chain(told) if isinstance(told, str) else ()
            if not before or (chain and before == (first,)):  # "Host *" with a ProxyJump means the jump host too
                return chain
            chain, first = (*before, *chain), before[0]
        raise LoginError(
            f"the chain of jump hosts is longer than {HOPS}, or leads in a circle: "
            f"{' → '.join(str(jump) for jump in chain[-HOPS:])}; look at jump, and at ProxyJump in ~/.ssh/config."
        )

    async def _open(self, target: Target, chain: tuple[Target, ...]) -> Connection:
        if not chain:
            return await _Login(target, None, self._prompts, self._limit).open(chain)
        tunnel = await self._jump(chain)
        async with self._limit(chain):
            return await _Login(target, tunnel, self._prompts, self._limit).open(chain)

    async def _jump(self, chain: tuple[Target, ...]) -> Connection:
        """The one connection to the last of a chain of jump hosts."""
        task = self._jumps.get(chain)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().is_closed())):
            task = self._jumps[chain] = asyncio.create_task(self._open(chain[-1], chain[:-1]))
        try:
            return await asyncio.shield(task)
        except LoginError as error:
            text = str(error) if str(error).startswith("jump host ") else f"jump host {chain[-1]}: {error}"
            raise LoginError(text, error.key) from None

    def _limit(self, server: Any) -> asyncio.Semaphore:
        return self._limits.setdefault(server, asyncio.Semaphore(AT_ONCE))


async def _options(target: Target, **more: Any) -> asyncssh.SSHClientConnectionOptions:
    # config=(): the default file. Left out, no file is read here, though `connect` would read it.
    return await asyncssh.SSHClientConnectionOptions.construct(config=(), **target.options(), **more)


class _Login(asyncssh.SSHClient):
    """One login: its attempts, the key that the server shows, and the questions that it leads to."""

    def __init__(self, target: Target, tunnel: Connection | None, prompts: Prompts, limit: Limit) -> None:
        self._target, self._tunnel, self._prompts, self._limit = target, tunnel, prompts, limit
        self._known: KnownKeys | None = None
        self._shown: ShownKey | None = None
        self._locked = ""  # a key file that the server would take, if we had its passphrase
        self._unanswered = ""
        self._timer = asyncio.timeout(None)

    async def open(self, chain: Sequence[Target]) -> Connection:
        """Raises LoginError."""
        try:
            options = await _options(self._target, passphrase=self._passphrase)
            self._known = KnownKeys.of(options)
            return await self._try(options, self._limit((tuple(chain), options.host, options.port)))
        except CheckingOff as error:
            raise LoginError(str(error)) from None
        except (asyncssh.Error, OSError, ValueError) as error:
            if self._shown:
                raise LoginError(about_key(self._shown), self._shown) from None
            raise LoginError(self._unanswered or why(error, self._target, self._tunnel is not None)) from None

    async def _try(self, options: asyncssh.SSHClientConnectionOptions, slots: asyncio.Semaphore) -> Connection:
        """Connect; again where the server hung up, as its MaxStartups may be full, or a key is to be unlocked."""
        pauses = iter(RETRY_AFTER)
        while True:
            self._locked = ""
            try:
                async with slots, asyncio.timeout(servers.CONNECT_WITHIN) as self._timer:
                    return await self._connect(options)
            except (asyncssh.ConnectionLost, ConnectionResetError):
                pause = next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            except (asyncssh.Error, ValueError):
                if not self._locked or not await self._unlock(self._locked):
                    raise

    async def _unlock(self, file: str) -> bool:
        """Whether the passphrase of a key file is known now; the server doesn't wait meanwhile."""
        can = importlib.util.find_spec("bcrypt") is not None
        if can and await self._prompts.unlock(file, lambda passphrase: _opens(file, passphrase)):
            return True
        self._unanswered = f"the key {file} has a passphrase; load it first: ssh-add {shlex.quote(file)}"
        return False

    async def _connect(self, options: asyncssh.SSHClientConnectionOptions) -> Connection:
        chosen = options.config.get("HostKeyAlgorithms")
        return await asyncssh.connect(
            **self._target.options(),
            **KEEPALIVE,
            **({} if chosen else {"server_host_key_algs": self._known.algorithms(options.host, options.port)}),
            tunnel=self._tunnel,  # also None: asyncssh would follow ProxyJump by itself
            known_hosts=self._known.match,
            client_factory=lambda: self,
            passphrase=self._passphrase,
            connect_timeout=None,
            agent_forwarding=False,
            x11_forwarding=False,
            password_auth=False,
        )

    # What asyncssh asks

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for a key that isn't among the trusted: it never becomes one here."""
        self._shown = self._known.shown(host, port, key)
        return False

    def kbdint_auth_requested(self) -> str | None:
        """Whether questions of the server can be answered."""
        if not self._prompts.somebody:
            self._unanswered = (
                f"{self._target} asks for a code or a password, and nobody is there to answer; log in from a terminal,"
                f" or with a key: ssh-copy-id {ssh_words(self._target)}"
            )
            return None
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """The answers to the server's questions; the clock stands still meanwhile."""
        answers: list[str] = []
        for text, echo in prompts[:4]:
            self._timer.reschedule(None)
            said = " ".join(filter(None, (instructions.strip(), text.strip()))) or "an answer is asked for"
            answer = await self._prompts.ask(str(self._target), said, echo)
            self._timer.reschedule(asyncio.get_running_loop().time() + servers.CONNECT_WITHIN)
            if answer is None:
                self._unanswered = f"the question of {self._target} was not answered: {wire.one_line(said, 100)}"
                return None
            answers.append(answer)
        return answers

    def _passphrase(self, file: str) -> str | None:
        """Called in another thread: what is known. What isn't is asked for after this attempt has failed."""
        known = self._prompts.passphrase(str(file))
        if known is None:
            self._locked = str(file)
        return known


def _opens(file: str, passphrase: str) -> bool:
    try:
        asyncssh.read_private_key(file, passphrase)
    except (OSError, ValueError):
        return False
    return True
