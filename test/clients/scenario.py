"""What the scenarios of all clients share. The test gives the homeserver's address as the first argument and restarts it when it is asked to."""

import asyncio
import sys

HOMESERVER = sys.argv[1]


async def restart_server() -> None:
    print("restart", flush=True)
    answer = await asyncio.to_thread(sys.stdin.readline)
    assert answer == "restarted\n", answer


def password_of(name: str) -> str:
    return f"password of {name}"
