"""The same conversation through mautrix, on which most bridges and bots stand; what matrix-nio cannot ask is asked here."""

import asyncio

from mautrix.client import ClientAPI
from mautrix.errors import MBadState, MNotFound, MUnknownToken
from mautrix.types import (
    EventType,
    Filter,
    Membership,
    PaginationDirection,
    PushActionType,
    PushRuleKind,
    PushRuleScope,
    RoomCreatePreset,
    RoomDirectoryVisibility,
    RoomEventFilter,
    RoomFilter,
    RoomTagInfo,
)
from mautrix.api import Method, Path
from scenario import HOMESERVER, password_of, restart_server


async def refused(error, call):
    try:
        await call
    except error:
        return
    raise AssertionError(f"not refused with {error.__name__}")


async def registered(name):
    client = ClientAPI(base_url=HOMESERVER)
    body = {"username": name, "password": password_of(name), "inhibit_login": True, "auth": {"type": "m.login.dummy"}}
    answer = await client.api.request(Method.POST, Path.v3.register, body)
    await client.login(identifier=answer["user_id"], password=password_of(name), device_name="bot", device_id="BOT")
    assert (await client.whoami()).user_id == client.mxid
    return client


async def until(client, what, look, since=None):
    """Syncs until `look` finds something in an answer; answers it with the place where to go on."""
    for _ in range(30):
        answer = await client.sync(since=since, timeout=2000)
        since = answer["next_batch"]
        found = look(answer)
        if found:
            return found, since
    raise AssertionError(f"waited in vain for {what}")


def texts(answer, room_id):
    events = answer.get("rooms", {}).get("join", {}).get(room_id, {}).get("timeline", {}).get("events", [])
    return [event["content"].get("body") for event in events if event["type"] == "m.room.message"]


async def room_of(alice, bob):
    room_id = await alice.create_room(
        alias_localpart="attic",
        visibility=RoomDirectoryVisibility.PUBLIC,
        preset=RoomCreatePreset.PUBLIC,
        name="The attic",
        topic="Dust",
        invitees=[bob.mxid],
        is_direct=False,
        initial_state=[{"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "forbidden"}}],
        power_level_override={"events_default": 0},
    )
    await until(bob, "the invitation", lambda answer: room_id in answer.get("rooms", {}).get("invite", {}))
    assert await bob.join_room("#attic:test.example") == room_id
    assert set(await alice.get_joined_members(room_id)) == {alice.mxid, bob.mxid}
    assert {event.state_key for event in await bob.get_members(room_id, membership=Membership.JOIN)} == {alice.mxid, bob.mxid}
    assert (await bob.get_state_event(room_id, EventType.ROOM_NAME)).name == "The attic"
    assert (await bob.get_room_directory(limit=5)).chunk[0].topic == "Dust"
    return room_id


async def small_things(alice, bob, room_id):
    event_id = await alice.send_text(room_id, "hello")
    assert (await bob.get_event(room_id, event_id)).content.body == "hello"
    await alice.send_message_event(room_id, EventType.ROOM_MESSAGE, {"msgtype": "m.notice", "body": "once"}, txn_id="same")
    await alice.send_message_event(room_id, EventType.ROOM_MESSAGE, {"msgtype": "m.notice", "body": "once"}, txn_id="same")
    await bob.react(room_id, event_id, "👍")
    context = await bob.get_event_context(room_id, event_id, limit=2)
    assert context.event.event_id == event_id
    await bob.set_typing(room_id, timeout=20_000)
    typing = lambda answer: answer.get("rooms", {}).get("join", {}).get(room_id, {}).get("ephemeral", {}).get("events")
    await until(alice, "typing", typing)
    await bob.send_receipt(room_id, event_id)
    await bob.set_fully_read_marker(room_id, event_id, event_id)
    assert (await bob.get_account_data("m.fully_read", room_id))["event_id"] == event_id
    await bob.set_room_tag(room_id, "u.upstairs", RoomTagInfo(order=0.5))
    assert (await bob.get_room_tag(room_id, "u.upstairs")).order == 0.5
    await bob.remove_room_tag(room_id, "u.upstairs")
    assert not (await bob.get_room_tags(room_id)).tags
    await bob.set_account_data("com.example.bot", {"a": [1, None]})
    assert await bob.get_account_data("com.example.bot") == {"a": [1, None]}
    await refused(MNotFound, bob.get_account_data("com.example.nothing"))
    await bob.set_displayname("Bob the bot")
    await bob.set_avatar_url("mxc://test.example/bob")
    profile = await alice.get_profile(bob.mxid)
    assert (profile.displayname, profile.avatar_url) == ("Bob the bot", "mxc://test.example/bob")
    oops = await bob.send_text(room_id, "oops")
    await bob.redact(room_id, oops, "a mistake")


async def rules_and_filters(alice, bob, room_id):
    where = (PushRuleScope.GLOBAL, PushRuleKind.CONTENT, "lamp")
    await bob.set_push_rule(*where, actions=[PushActionType.NOTIFY], pattern="lamp")
    assert (await bob.get_push_rule(*where)).pattern == "lamp"
    await bob.remove_push_rule(*where)
    await refused(MNotFound, bob.get_push_rule(*where))
    assert "override" in (await bob.get_account_data("m.push_rules"))["global"]
    filter_id = await bob.create_filter(Filter(room=RoomFilter(timeline=RoomEventFilter(limit=1, types=[EventType.ROOM_MESSAGE]))))
    assert (await bob.get_filter(filter_id)).room.timeline.limit == 1
    await alice.send_text(room_id, f"a lamp for {bob.mxid}")
    answer = await bob.sync(filter_id=filter_id, timeout=0)
    assert texts(answer, room_id) == [f"a lamp for {bob.mxid}"]


async def memberships(alice, bob, room_id):
    await alice.kick_user(room_id, bob.mxid, "out")
    await bob.join_room_by_id(room_id)
    await alice.ban_user(room_id, bob.mxid, "and stay there")
    await refused(MBadState, bob.join_room_by_id(room_id))
    await alice.unban_user(room_id, bob.mxid)
    await alice.send_state_event(room_id, EventType.ROOM_JOIN_RULES, {"join_rule": "knock"})
    assert await bob.knock_room(room_id, "let me in") == room_id
    await alice.invite_user(room_id, bob.mxid, "well then")
    await bob.join_room_by_id(room_id)
    await bob.leave_room(room_id, "it is late")
    await bob.forget_room(room_id)
    assert await bob.get_joined_rooms() == []
    await alice.set_room_directory_visibility(room_id, RoomDirectoryVisibility.PRIVATE)
    assert await alice.get_room_directory_visibility(room_id) == RoomDirectoryVisibility.PRIVATE
    await alice.remove_room_alias("attic")
    await refused(MNotFound, alice.resolve_room_alias("#attic:test.example"))


async def main():
    assert (await ClientAPI(base_url=HOMESERVER).versions()).latest_version
    alice, bob = await registered("alice"), await registered("bob")
    assert any(str(flow.type) == "m.login.password" for flow in (await bob.get_login_flows()).flows)
    room_id = await room_of(alice, bob)
    await small_things(alice, bob, room_id)
    since = (await bob.sync(timeout=0))["next_batch"]
    await restart_server()
    await alice.send_text(room_id, "after the restart")
    await until(bob, "what was said", lambda answer: texts(answer, room_id) == ["after the restart"], since)
    said, start = [], None
    while True:
        page = await bob.get_messages(room_id, PaginationDirection.BACKWARD, from_token=start, limit=5)
        said += [event.content.body for event in page.events if event.type == EventType.ROOM_MESSAGE and event.content.msgtype]
        if not page.end:
            break
        start = page.end
    assert said == ["after the restart", "once", "hello"], said
    await rules_and_filters(alice, bob, room_id)
    await memberships(alice, bob, room_id)
    await bob.logout(clear_access_token=False)
    await refused(MUnknownToken, bob.whoami())
    await alice.logout_all()
    for client in (alice, bob):
        await client.api.session.close()
    print("done", flush=True)


asyncio.run(main())
