"""Python's websockets, by threads and by asyncio, speaking graphql-transport-ws by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from suite import (
    BAD,
    BOTH,
    CASE_SECONDS,
    CONVERGENCE,
    GOOD,
    INVALID,
    LONG,
    LONG_TERMS,
    SOCKET_URL,
    TERMS,
    case,
    has_both,
    has_pi_alone,
    is_invalid,
    restart,
    run_cases,
    terminate,
)
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

PROTOCOL = "graphql-transport-ws"
INIT = json.dumps({"type": "connection_init"})
ONE_MIB = 1024 * 1024


def subscribe(query: str, variables: dict[str, Any] | None = None, name: str = "1") -> str:
    return json.dumps({"type": "subscribe", "id": name, "payload": {"query": query, "variables": variables}})


@contextmanager
def greeted() -> Iterator[ClientConnection]:
    """A socket that has said hello. It is closed at the end; a close that is not clean raises."""
    with connect(SOCKET_URL, subprotocols=[PROTOCOL]) as socket:
        assert socket.subprotocol == PROTOCOL
        socket.send(INIT)
        assert receive(socket) == {"type": "connection_ack"}
        yield socket


@asynccontextmanager
async def greeted_async() -> AsyncIterator[AsyncConnection]:
    async with connect_async(SOCKET_URL, subprotocols=[PROTOCOL]) as socket:
        await socket.send(INIT)
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        yield socket


def receive(socket: ClientConnection) -> Any:
    """The next message, in time: a thread that waits can't be cancelled."""
    return json.loads(socket.recv(timeout=CASE_SECONDS))


def payloads(socket: ClientConnection, query: str, variables: dict[str, Any] | None = None) -> list[Any]:
    """The payloads of an operation to its end."""
    socket.send(subscribe(query, variables))
    received = []
    while (message := receive(socket))["type"] == "next":
        received.append(message["payload"])
    return [*received, message["payload"]] if message["type"] == "error" else received


async def payloads_async(socket: AsyncConnection, query: str, variables: dict[str, Any] | None = None) -> list[Any]:
    await socket.send(subscribe(query, variables))
    received = []
    while (message := json.loads(await socket.recv()))["type"] == "next":
        received.append(message["payload"])
    return [*received, message["payload"]] if message["type"] == "error" else received


def terms(responses: list[Any]) -> list[int]:
    return [response["data"]["piConvergence"]["terms"] for response in responses]


def closed_by(socket: ClientConnection) -> ConnectionClosed:
    """How the server closes a socket; what it sends before is ignored."""
    try:
        while True:
            receive(socket)
    except ConnectionClosed as closed:
        return closed


@case("threads: a query has both values")
def both() -> None:
    with greeted() as socket:
        has_both(payloads(socket, BOTH, GOOD)[0]["data"])


@case("threads: a field that fails leaves the other")
def partial() -> None:
    with greeted() as socket:
        [response] = payloads(socket, BOTH, BAD)
    has_pi_alone(response["data"], response["errors"])


@case("threads: a document that is not valid fails alone on its socket")
def invalid() -> None:
    with greeted() as socket:
        is_invalid(payloads(socket, INVALID)[0])
        has_both(payloads(socket, BOTH, GOOD)[0]["data"])


@case("threads: a subscription comes to its end")
def subscription() -> None:
    with greeted() as socket:
        assert terms(payloads(socket, CONVERGENCE)) == TERMS


@case("threads: a subscription is left midway and the socket is closed cleanly")
def midway() -> None:
    with greeted() as socket:
        socket.send(subscribe(LONG, name="long"))
        assert terms([receive(socket)["payload"]]) == [1]
        socket.send(json.dumps({"type": "complete", "id": "long"}))
        socket.send(subscribe(CONVERGENCE))
        # All is read to the last message: a client whose queue is full does not see the Close.
        messages = [receive(socket)]
        while messages[-1]["type"] != "complete":
            messages.append(receive(socket))
    assert terms([message["payload"] for message in messages[:-1] if message["id"] == "1"]) == TERMS
    assert messages[-1]["id"] == "1", messages[-1]
    assert socket.close_code == 1000, socket.close_code


for code in (1000, 1001, 3000, 4000):

    @case(f"threads: a close with {code} comes back", code)
    def close(code: int) -> None:
        with greeted() as socket:
            socket.close(code, "as sent")
        assert socket.protocol.close_rcvd is not None, "no close"
        assert socket.protocol.close_rcvd.code == code, socket.protocol.close_rcvd


@case("threads: a ping has its pong with the same payload")
def ping() -> None:
    with greeted() as socket:
        assert socket.ping(b"as sent").wait(10)


@case("threads: a message in fragments is one message")
def fragments() -> None:
    with greeted() as socket:
        message = subscribe(BOTH, GOOD)
        socket.send(message[at : at + 7] for at in range(0, len(message), 7))
        has_both(receive(socket)["payload"]["data"])


@case("threads: a message that is too large is closed with 1009")
def too_large() -> None:
    # The server may close before all is written.
    with greeted() as socket:
        with suppress(ConnectionClosed):
            socket.send(subscribe("x" * (ONE_MIB + 1)))
        closed = closed_by(socket)
    assert isinstance(closed, ConnectionClosedError) and closed.rcvd, repr(closed)
    assert closed.rcvd.code == 1009, closed


@case("threads: a text that is not UTF-8 is closed with 1007")
def not_utf_8() -> None:
    with greeted() as socket:
        socket.send(b"\xff", text=True)
        closed = closed_by(socket)
    assert closed.rcvd and closed.rcvd.code == 1007, closed


@case("threads: bytes are closed with 4400")
def binary() -> None:
    with greeted() as socket:
        socket.send(INIT.encode())
        closed = closed_by(socket)
    assert closed.rcvd and closed.rcvd.code == 4400, closed


@case("threads: a drain is a clean close with 1001")
def drain() -> None:
    with greeted() as socket:
        has_both(payloads(socket, BOTH, GOOD)[0]["data"])
        terminate()
        closed = closed_by(socket)
    restart()
    assert isinstance(closed, ConnectionClosedOK) and closed.rcvd, repr(closed)
    assert closed.rcvd.code == 1001, closed


@case("asyncio: a query has both values")
async def both_async() -> None:
    async with greeted_async() as socket:
        has_both((await payloads_async(socket, BOTH, GOOD))[0]["data"])


@case("asyncio: a subscription comes to its end")
async def subscription_async() -> None:
    async with greeted_async() as socket:
        assert terms(await payloads_async(socket, CONVERGENCE)) == TERMS


@case("asyncio: twenty operations share a socket")
async def twenty() -> None:
    async with greeted_async() as socket:
        for name in range(20):
            await socket.send(subscribe(CONVERGENCE, name=str(name)))
        received: dict[str, list[Any]] = {}
        ended = 0
        while ended < 20:
            message = json.loads(await socket.recv())
            ended += message["type"] == "complete"
            if message["type"] == "next":
                received.setdefault(message["id"], []).append(message["payload"])
    assert [terms(each) for each in received.values()] == 20 * [TERMS]


@case("asyncio: a subscription is left midway and the socket is closed cleanly")
async def midway_async() -> None:
    async with greeted_async() as socket:
        await socket.send(subscribe(LONG, name="long"))
        assert terms([json.loads(await socket.recv())["payload"]]) == [1]
        await socket.send(json.dumps({"type": "complete", "id": "long"}))
        await socket.send(subscribe(CONVERGENCE))
        # All is read to the last message: a client whose queue is full does not see the Close.
        messages = [json.loads(await socket.recv())]
        while messages[-1]["type"] != "complete":
            messages.append(json.loads(await socket.recv()))
    assert terms([message["payload"] for message in messages[:-1] if message["id"] == "1"]) == TERMS
    assert messages[-1]["id"] == "1", messages[-1]
    assert socket.close_code == 1000, socket.close_code


for code in (1000, 1001, 3000, 4000):

    @case(f"asyncio: a close with {code} comes back", code)
    async def close_async(code: int) -> None:
        async with greeted_async() as socket:
            await socket.close(code, "as sent")
        assert socket.protocol.close_rcvd is not None, "no close"
        assert socket.protocol.close_rcvd.code == code, socket.protocol.close_rcvd


@case("asyncio: a ping has its pong with the same payload")
async def ping_async() -> None:
    async with greeted_async() as socket:
        assert await (await socket.ping(b"as sent")) < 20


@case("asyncio: a drain cuts a subscription with 1001")
async def drain_async() -> None:
    # The client reads no more than a few messages ahead.
    async with greeted_async() as socket:
        await socket.send(subscribe(LONG))
        await socket.recv()
        await asyncio.to_thread(terminate)
        # Iteration ends by itself on a clean close.
        messages = [json.loads(message) async for message in socket]
    await asyncio.to_thread(restart)
    assert socket.close_code == 1001, socket.close_code
    completed = [message for message in messages if message["type"] == "complete"]
    last = messages[-1]["payload"]["data"]["piConvergence"]["terms"] if not completed else completed
    assert not completed and last != LONG_TERMS, last


@case("asyncio: a client that reconnects finds the next process")
async def reconnect() -> None:
    connections = 0
    async for socket in connect_async(SOCKET_URL, subprotocols=[PROTOCOL]):
        connections += 1
        await socket.send(INIT)
        await socket.recv()
        has_both((await payloads_async(socket, BOTH, GOOD))[0]["data"])
        if connections == 2:
            await socket.close()
            break
        await asyncio.to_thread(terminate)
        await socket.wait_closed()
        assert socket.close_code == 1001, socket.close_code
        await asyncio.to_thread(restart)


run_cases()
