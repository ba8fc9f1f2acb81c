"""Answers what the real Synapse makes of events: one JSON request a line on stdin, one JSON answer a line on stdout.

Nothing here decides anything: each operation hands its arguments to Synapse's own functions. The only thing written here is where state
resolution finds events and auth chains, which Synapse takes from its database.
"""

import json
import logging
import sys
import time
from unpaddedbase64 import decode_base64, encode_base64

from canonicaljson import encode_canonical_json
from signedjson.key import decode_signing_key_base64
from synapse import event_auth
from synapse.api.errors import EventSizeError, SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, StateResolutionVersions
from synapse.crypto.event_signing import (
    add_hashes_and_signatures,
    check_event_content_hash,
    compute_content_hash,
    compute_event_reference_hash,
    compute_event_signature,
)
from synapse.events import make_event_from_json
from synapse.events.utils import prune_event
from synapse.federation.federation_base import event_from_pdu_json
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.synapse_rust.events import redact_event_dict
from synapse.util.json import json_decoder
import hashlib

logging.disable(logging.CRITICAL)


def run(coroutine):
    """Runs what is declared async but never waits for anything here."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waits for something")


def text_of(value):
    return encode_canonical_json(value).decode("utf-8")


def attempt(function):
    """What a function answers, or why it refuses. What is no refusal of Synapse's, a crash, is told apart."""
    try:
        return {"ok": function()}
    except SynapseError as error:
        return {"refused": error.msg}
    except Exception as error:
        return {"crashed": f"{type(error).__name__}: {error}"}


def canonical(request):
    return attempt(lambda: text_of(json_decoder.decode(request["text"])))


def encode(request):
    """The hashes, signature and redacted form of an event that need not be well-formed."""
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    key = decode_signing_key_base64("ed25519", "1", request["seed"])

    def answer():
        event = json_decoder.decode(request["text"])
        _, digest = compute_content_hash(event, hashlib.sha256)
        signatures = compute_event_signature(version, dict(event), request["server"], key)
        return {
            "contentHash": encode_base64(digest),
            "redacted": text_of(redact_event_dict(version, event)),
            "signature": signatures[request["server"]]["ed25519:1"],
        }

    return attempt(answer)


def receive(request):
    """What becomes of a text that another server says is an event."""
    version = KNOWN_ROOM_VERSIONS[request["version"]]

    def answer():
        event = event_from_pdu_json(json_decoder.decode(request["text"]), version)
        rejected = False
        try:
            event_auth._check_size_limits(event)
        except EventSizeError as error:
            if error.unpersistable:
                raise
            rejected = True
        _, digest = compute_event_reference_hash(event)
        return {
            "eventId": event.event_id,
            "roomId": event.room_id,
            "referenceHash": encode_base64(digest),
            "rejected": rejected,
            "contentHashMatches": check_event_content_hash(event),
            "redacted": text_of({k: v for k, v in prune_event(event).get_pdu_json().items() if k != "unsigned"}),
        }

    return attempt(answer)


class Store:
    """A room's events, as Synapse's database would give them."""

    def __init__(self):
        self.events = {}
        self.chains = {}
        # How long finding auth chains has taken, which is not Synapse's time.
        self.ms = 0

    def put(self, text, version, rejected):
        event = make_event_from_json(text, version, rejected_reason="rejected" if rejected else None)
        self.events[event.event_id] = event
        return event

    async def get_events(self, event_ids, *_, **__):
        return {event_id: self.events[event_id] for event_id in event_ids if event_id in self.events}

    def chain_of(self, event_id):
        """The auth chain of an event with the event itself, as Synapse's tables have it."""
        if event_id not in self.chains:
            seen, todo = set(), [event_id]
            while todo:
                current = todo.pop()
                if current in seen or current not in self.events:
                    continue
                seen.add(current)
                todo.extend(self.events[current].auth_event_ids())
            self.chains[event_id] = frozenset(seen)
        return self.chains[event_id]

    async def get_auth_chain_difference(self, _room_id, state_sets, conflicted, _additional):
        started = time.perf_counter()
        full = [set().union(*(self.chain_of(event_id) for event_id in state_set)) for state_set in state_sets]
        subgraph = None
        if conflicted is not None:
            reached = set().union(*(self.chain_of(event_id) for event_id in conflicted))
            subgraph = {event_id for event_id in reached if self.chain_of(event_id) & conflicted}
        difference = StateDifference(set.union(*full) - set.intersection(*full), subgraph)
        self.ms += (time.perf_counter() - started) * 1000
        return difference


class Clock:
    async def sleep(self, _duration):
        pass


def authorise(request):
    """Whether an event is authorised: by rules that look at its auth events alone, and by a state."""
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    store = Store()
    for cited in request["authEvents"]:
        store.put(cited["text"], version, cited["rejected"])
    event = make_event_from_json(request["text"], version)
    state = [make_event_from_json(text, version) for text in request["state"]]
    return {
        "authEvents": attempt(lambda: run(event_auth.check_state_independent_auth_rules(store, event))),
        "state": attempt(lambda: event_auth.check_state_dependent_auth_rules(event, state)),
    }


room = {}


def open_room(request):
    room["version"] = KNOWN_ROOM_VERSIONS[request["version"]]
    room["store"] = Store()
    return {}


def add(request):
    """Judges a room's event by its auth events and the state before it, and keeps it with what became of it."""
    store, version = room["store"], room["version"]
    event = make_event_from_json(request["text"], version)

    def judge():
        run(event_auth.check_state_independent_auth_rules(store, event))
        event_auth.check_state_dependent_auth_rules(event, [store.events[i] for i in event.auth_event_ids()])
        event_auth.check_state_dependent_auth_rules(event, [store.events[i] for i in request["state"]])

    verdict = attempt(judge)
    store.put(request["text"], version, "ok" not in verdict or request.get("rejected", False))
    return {"eventId": event.event_id, **verdict}


def put(request):
    """Keeps events without judging them."""
    for text in request["texts"]:
        room["store"].put(text, room["version"], False)
    return {}


def resolve(request):
    """The state that Synapse resolves state sets to, and how long that takes; each set and the answer is a list of event ids."""
    store, version = room["store"], room["version"]

    def key(event_id):
        event = store.events[event_id]
        return (event.type, event.state_key)

    sets = [{key(event_id): event_id for event_id in state} for state in request["sets"]]
    room_id = next(iter(store.events.values())).room_id
    store.ms = 0
    started = time.perf_counter()
    if version.state_res == StateResolutionVersions.V1:
        resolved = run(v1.resolve_events_with_store(room_id, version, sets, None, store.get_events))
    else:
        resolved = run(v2.resolve_events_with_store(Clock(), room_id, version, sets, None, store))
    ms = (time.perf_counter() - started) * 1000
    return {"state": sorted(resolved.values()), "ms": ms - store.ms}


def measure(request):
    """Milliseconds for each of many rounds of making a signed event, and of checking one against a state."""
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    key = decode_signing_key_base64("ed25519", "1", request["seed"])
    draft = json_decoder.decode(request["draft"])
    event = make_event_from_json(request["text"], version)
    state = [make_event_from_json(text, version) for text in request["state"]]

    def build():
        made = dict(draft)
        add_hashes_and_signatures(version, made, request["server"], key)
        return make_event_from_json(text_of(made), version).event_id

    def timed(function):
        started = time.perf_counter()
        for _ in range(request["times"]):
            function()
        return (time.perf_counter() - started) * 1000 / request["times"]

    return {"buildMs": timed(build), "authMs": timed(lambda: event_auth.check_state_dependent_auth_rules(event, state))}


OPERATIONS = {
    "canonical": canonical,
    "encode": encode,
    "receive": receive,
    "authorise": authorise,
    "open": open_room,
    "add": add,
    "put": put,
    "resolve": resolve,
    "measure": measure,
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = OPERATIONS[request["op"]](request)
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
