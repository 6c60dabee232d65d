"""People's servers as units of systemd (accounts: system), each with a port that the hub has opened for it.

systemd-run hands no open port on. So the server fetches it from the hub, which gives it to a process of that account
only (given.py).
"""

import asyncio
import pwd

from given import Counter, opened
from systemdspawner import SystemdSpawner
from traitlets import validate


class UnitSpawner(SystemdSpawner):
    """The usual one, whose servers are given their ports."""

    _opened = 0

    @validate("port")
    def _is_opened(self, proposal: dict) -> int:
        """The one that is open, and not the one that SystemdSpawner draws."""
        return self._opened or proposal["value"]

    async def start(self) -> tuple[str, int]:
        """Start the server, and give it its port."""
        port = opened(0)
        self._opened = port.getsockname()[1]
        counter = Counter(port, pwd.getpwnam(self._expand_user_vars(self.username_template)).pw_uid)
        plain, self.cmd = self.cmd, counter.command(self.cmd)
        giving = asyncio.create_task(counter.serve())
        try:
            where = await super().start()
            while not giving.done():
                if await self.poll() is not None:
                    raise RuntimeError(f"{self.unit_name} ended before it had its port: journalctl -u {self.unit_name}")
                await asyncio.wait([giving], timeout=0.5)
            await giving  # and so the error, if it was one
            return where
        finally:
            giving.cancel()
            counter.close()
            self._opened, self.cmd = 0, plain  # the next start has a port of its own
