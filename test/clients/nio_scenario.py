"""Two people and a third talk through matrix-nio, over nearly all that it can ask."""

import asyncio

from nio import AsyncClient, ErrorResponse, MessageDirection, RoomPreset, RoomVisibility
from nio.api import EventFormat, PushRuleKind, ReceiptType
from nio.events import PushNotify
from scenario import HOMESERVER, password_of, restart_server


def good(response):
    assert not isinstance(response, ErrorResponse), response
    return response


def bad(response, errcode):
    assert isinstance(response, ErrorResponse) and response.status_code == errcode, response


async def registered(name):
    client = AsyncClient(HOMESERVER, name)
    good(await client.register(name, password_of(name), "first device"))
    return client


async def until(client, what, look):
    """Syncs until `look` finds something in an answer."""
    for _ in range(30):
        found = look(good(await client.sync(timeout=2000)))
        if found:
            return found
    raise AssertionError(f"waited in vain for {what}")


def bodies(response, room_id):
    room = response.rooms.join.get(room_id)
    return [event.body for event in room.timeline.events if hasattr(event, "body")] if room else []


async def say(client, room_id, body):
    return good(await client.room_send(room_id, "m.room.message", {"msgtype": "m.text", "body": body})).event_id


async def account(alice):
    assert {"m.login.password"} <= set(good(await alice.login_info()).flows)
    again = AsyncClient(HOMESERVER, alice.user_id, device_id="LAPTOP")
    bad(await again.login("wrong"), "M_FORBIDDEN")
    good(await again.login(password_of("alice"), "laptop"))
    good(await alice.update_device("LAPTOP", {"display_name": "old laptop"}))
    names = {device.id: device.display_name for device in good(await alice.devices()).devices}
    assert names == {alice.device_id: "first device", "LAPTOP": "old laptop"}, names
    session = (await alice.delete_devices(["LAPTOP"])).session
    auth = {"type": "m.login.password", "session": session, "user": "alice", "password": password_of("alice")}
    good(await alice.delete_devices(["LAPTOP"], auth))
    bad(await again.whoami(), "M_UNKNOWN_TOKEN")
    await again.close()
    good(await alice.set_displayname("Alice"))
    good(await alice.set_avatar("mxc://test.example/alice"))
    profile = good(await alice.get_profile())
    assert (profile.displayname, profile.avatar_url) == ("Alice", "mxc://test.example/alice"), profile
    assert good(await alice.get_openid_token(alice.user_id)).expires_in == 3600


async def created(alice, bob):
    room_id = good(
        await alice.room_create(
            visibility=RoomVisibility.public,
            alias="cellar",
            name="The cellar",
            topic="What is down there",
            preset=RoomPreset.private_chat,
            invite=[bob.user_id],
            initial_state=[{"type": "m.room.history_visibility", "content": {"history_visibility": "shared"}}],
            power_level_override={"users_default": 5},
        )
    ).room_id
    assert good(await bob.room_resolve_alias("#cellar:test.example")).room_id == room_id
    assert good(await alice.room_get_visibility(room_id)).visibility == "public"
    await until(bob, "the invitation", lambda answer: room_id in answer.rooms.invite)
    good(await bob.join(room_id))
    await until(alice, "Bob", lambda _: bob.user_id in alice.rooms[room_id].users)
    assert alice.rooms[room_id].power_levels.defaults.users_default == 5
    assert {member.user_id for member in good(await bob.joined_members(room_id)).members} == {alice.user_id, bob.user_id}
    assert good(await bob.joined_rooms()).rooms == [room_id]
    return room_id


async def conversation(alice, bob, room_id):
    await until(bob, "the room", lambda _: room_id in bob.rooms)
    good(await bob.room_typing(room_id, True, 20_000))
    await until(alice, "typing", lambda _: bob.user_id in alice.rooms[room_id].typing_users)
    hello = await say(bob, room_id, "hello")
    await until(alice, "hello", lambda answer: "hello" in bodies(answer, room_id))
    good(await alice.update_receipt_marker(room_id, hello, ReceiptType.read))
    good(await alice.room_read_markers(room_id, hello, hello))
    await until(bob, "the receipt", lambda _: alice.user_id in bob.rooms[room_id].read_receipts)
    edit = {"msgtype": "m.text", "body": "* hello!", "m.new_content": {"msgtype": "m.text", "body": "hello!"}}
    relation = {"m.relates_to": {"rel_type": "m.replace", "event_id": hello}}
    good(await bob.room_send(room_id, "m.room.message", {**edit, **relation}))
    oops = await say(bob, room_id, "oops")
    good(await bob.room_redact(room_id, oops, "a mistake"))
    assert good(await alice.room_get_event(room_id, oops)).event.source["content"] == {}
    context = good(await alice.room_context(room_id, hello, 4))
    assert context.event.body == "hello" and context.events_after, context
    good(await alice.update_room_topic(room_id, "What was down there"))
    assert good(await bob.room_get_state_event(room_id, "m.room.topic")).content["topic"] == "What was down there"
    assert any(event["type"] == "m.room.create" for event in good(await bob.room_get_state(room_id)).events)


async def pages(client, room_id):
    """All texts of a room, the newest first."""
    found, start = [], None
    while True:
        page = good(await client.room_messages(room_id, start, limit=7, direction=MessageDirection.back))
        found += [event.body for event in page.chunk if hasattr(event, "body")]
        if not page.end:
            return found
        start = page.end


async def rules_and_filters(alice, bob, room_id):
    good(await bob.set_pushrule("global", PushRuleKind.content, "lamp", actions=[PushNotify()], pattern="lamp"))
    good(await bob.set_pushrule_actions("global", PushRuleKind.content, "lamp", []))
    good(await bob.enable_pushrule("global", PushRuleKind.content, "lamp", False))
    good(await bob.delete_pushrule("global", PushRuleKind.content, "lamp"))
    bad(await bob.delete_pushrule("global", PushRuleKind.content, "lamp"), "M_NOT_FOUND")
    filter_id = good(
        await bob.upload_filter(event_format=EventFormat.client, room={"timeline": {"limit": 1, "types": ["m.room.message"]}})
    ).filter_id
    await say(alice, room_id, "one")
    await say(alice, room_id, "two")
    fresh = AsyncClient(HOMESERVER, bob.user_id)
    fresh.restore_login(bob.user_id, bob.device_id, bob.access_token)
    answer = good(await fresh.sync(sync_filter=filter_id))
    room = answer.rooms.join[room_id]
    assert bodies(answer, room_id) == ["two"] and room.timeline.limited, room
    # What alice has said since bob's own last message.
    assert room.unread_notifications.notification_count == 4, room.unread_notifications
    good(await fresh.update_receipt_marker(room_id, room.timeline.events[-1].event_id))
    await until(fresh, "no counts", lambda _: fresh.rooms[room_id].unread_notifications == 0)
    await fresh.close()


async def memberships(alice, bob, carol, room_id):
    bad(await carol.join(room_id), "M_FORBIDDEN")
    good(await alice.room_put_state(room_id, "m.room.join_rules", {"join_rule": "knock"}))
    assert good(await carol.list_public_rooms(limit=5)).public_rooms[0].topic == "What was down there"
    good(await carol.room_knock(room_id, "may I?"))
    good(await alice.room_invite(room_id, carol.user_id))
    good(await carol.join(room_id))
    good(await alice.room_kick(room_id, carol.user_id, "too loud"))
    good(await alice.room_ban(room_id, carol.user_id, "still too loud"))
    bad(await carol.join(room_id), "M_BAD_STATE")
    good(await alice.room_unban(room_id, carol.user_id))
    bad(await bob.room_kick(room_id, alice.user_id), "M_FORBIDDEN")
    good(await bob.room_leave(room_id))
    good(await bob.room_forget(room_id))
    assert good(await bob.joined_rooms()).rooms == []
    good(await alice.room_delete_alias("#cellar:test.example"))
    bad(await alice.room_resolve_alias("#cellar:test.example"), "M_NOT_FOUND")


async def main():
    alice, bob, carol = await registered("alice"), await registered("bob"), await registered("carol")
    bad(await register_once("alice"), "M_USER_IN_USE")
    await account(alice)
    room_id = await created(alice, bob)
    await conversation(alice, bob, room_id)
    for number in range(20):
        await say(alice if number % 2 else bob, room_id, f"message {number}")
    await restart_server()
    await say(alice, room_id, "after the restart")
    await until(bob, "what was said", lambda answer: "after the restart" in bodies(answer, room_id))
    said = await pages(bob, room_id)
    expected = ["after the restart", *(f"message {number}" for number in reversed(range(20))), "* hello!", "hello"]
    assert said == expected, said
    await rules_and_filters(alice, bob, room_id)
    await memberships(alice, bob, carol, room_id)
    for client in (alice, bob, carol):
        good(await client.logout(all_devices=client is alice))
        await client.close()
    print("done", flush=True)


async def register_once(name):
    client = AsyncClient(HOMESERVER, name)
    try:
        return await client.register(name, password_of(name))
    finally:
        await client.close()


asyncio.run(main())
