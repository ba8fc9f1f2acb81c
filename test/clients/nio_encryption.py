"""A device of matrix-nio in an encrypted room: it joins where it is invited, repeats what it can decrypt, and says what it cannot."""

import asyncio
import sys
import tempfile

from nio import AsyncClient, AsyncClientConfig, ErrorResponse, MegolmEvent, RoomMessageText
from scenario import HOMESERVER, password_of

NAME = sys.argv[2]


def good(response):
    assert not isinstance(response, ErrorResponse), response
    return response


async def keys(client):
    """What `sync_forever` does between two syncs."""
    if client.should_upload_keys:
        good(await client.keys_upload())
    if client.should_query_keys:
        good(await client.keys_query())
    if client.should_claim_keys:
        good(await client.keys_claim(client.get_users_for_key_claiming()))
    for response in await client.send_to_device_messages():
        good(response)


async def main():
    with tempfile.TemporaryDirectory() as store:
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        client = AsyncClient(HOMESERVER, NAME, store_path=store, config=config)
        good(await client.register(NAME, password_of(NAME), "nio"))
        await keys(client)
        print(f"device {client.device_id}", flush=True)
        while True:
            answer = good(await client.sync(timeout=2000))
            await keys(client)
            for room_id in answer.rooms.invite:
                good(await client.join(room_id))
            for room_id, room in answer.rooms.join.items():
                for event in room.timeline.events:
                    if event.sender == client.user_id:
                        continue
                    if isinstance(event, MegolmEvent):
                        print(f"undecryptable {event.event_id}", flush=True)
                    if not isinstance(event, RoomMessageText):
                        continue
                    assert event.decrypted
                    print(f"read {event.body}", flush=True)
                    if event.body == "stop":
                        await client.close()
                        return
                    content = {"msgtype": "m.text", "body": f"echo of {event.body}"}
                    good(await client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True))


asyncio.run(main())
