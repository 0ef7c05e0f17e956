"""Python's gql over each of its transports."""

import asyncio
from collections.abc import Callable
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from gql.transport.websockets import WebsocketsTransport
from suite import (
    BAD,
    BAD_ROWS,
    BOTH,
    CONVERGENCE,
    GOOD,
    GOOD_ROWS,
    INVALID,
    LONG,
    LONG_TERMS,
    ROWS,
    SOCKET_URL,
    TERMS,
    URL,
    case,
    has_both,
    has_digits_alone,
    has_pi_alone,
    has_rows,
    is_invalid,
    restart,
    run_cases,
    terminate,
)

Transport = Callable[..., Any]

OVER_HTTP: dict[str, Transport] = {
    "HTTPXAsyncTransport": lambda: HTTPXAsyncTransport(URL),
    "AIOHTTPTransport": lambda: AIOHTTPTransport(URL),
}
OVER_SOCKETS: dict[str, Transport] = {
    # gql 4.4.0 looks for the subprotocol of the answer under a name in mixed case. HTTP names have no case and the
    # program's are in lower case, so gql must be told to offer this one alone.
    "WebsocketsTransport": lambda **options: WebsocketsTransport(
        SOCKET_URL, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL], **options
    ),
    "AIOHTTPWebsocketsTransport": lambda **options: AIOHTTPWebsocketsTransport(SOCKET_URL, **options),
}
GOOD_REQUEST = GraphQLRequest(BOTH, variable_values=GOOD)
BAD_REQUEST = GraphQLRequest(BOTH, variable_values=BAD)


def terms(responses: list[dict[str, Any]]) -> list[int]:
    return [response["piConvergence"]["terms"] for response in responses]


async def failure(pending: Any) -> Exception:
    """What a client raises."""
    try:
        await pending
    except Exception as error:  # noqa: BLE001, it is what the case looks at
        return error
    raise AssertionError("no error")


@case("HTTPXTransport: a query has both values, by a schema of introspection")
def sync_both() -> None:
    with Client(transport=HTTPXTransport(URL), fetch_schema_from_transport=True) as session:
        has_both(session.execute(GOOD_REQUEST))


@case("HTTPXTransport: a field that fails leaves the other")
def sync_partial() -> None:
    try:
        Client(transport=HTTPXTransport(URL)).execute(BAD_REQUEST)
    except TransportQueryError as error:
        has_pi_alone(error.data or {}, error.errors or [])
    else:
        raise AssertionError("no error")


@case("HTTPXTransport: a list and digits of π, by a schema of introspection")
def sync_rows() -> None:
    with Client(transport=HTTPXTransport(URL), fetch_schema_from_transport=True) as session:
        has_rows(session.execute(GraphQLRequest(ROWS, variable_values=GOOD_ROWS)))


@case("HTTPXTransport: a list that fails leaves the digits of π")
def sync_partial_rows() -> None:
    try:
        Client(transport=HTTPXTransport(URL)).execute(GraphQLRequest(ROWS, variable_values=BAD_ROWS))
    except TransportQueryError as error:
        has_digits_alone(error.data or {}, error.errors or [])
    else:
        raise AssertionError("no error")


@case("HTTPXTransport: a batch has all values, and an error is raised")
def sync_batch() -> None:
    with Client(transport=HTTPXTransport(URL)) as session:
        for data in session.execute_batch([GOOD_REQUEST, GOOD_REQUEST]):
            has_both(data)
        try:
            session.execute_batch([GOOD_REQUEST, BAD_REQUEST])
        except TransportQueryError as error:
            has_pi_alone(error.data or {}, error.errors or [])
        else:
            raise AssertionError("no error")


for name, transport in {**OVER_HTTP, **OVER_SOCKETS}.items():

    @case(f"{name}: a query has both values, by a schema of introspection", transport)
    async def both(transport: Transport) -> None:
        async with Client(transport=transport(), fetch_schema_from_transport=True) as session:
            has_both(await session.execute(GOOD_REQUEST))

    @case(f"{name}: a field that fails leaves the other", transport)
    async def partial(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            error = await failure(session.execute(BAD_REQUEST))
            has_both(await session.execute(GOOD_REQUEST))
        assert isinstance(error, TransportQueryError), repr(error)
        has_pi_alone(error.data or {}, error.errors or [])

    @case(f"{name}: a document that is not valid is an error", transport)
    async def invalid(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            error = await failure(session.execute(GraphQLRequest(INVALID)))
            has_both(await session.execute(GOOD_REQUEST))
        assert isinstance(error, TransportQueryError), repr(error)
        is_invalid(error.errors or [])

    @case(f"{name}: ten queries side by side", transport)
    async def side_by_side(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            for data in await asyncio.gather(*(session.execute(GOOD_REQUEST) for _ in range(10))):
                has_both(data)


for name, transport in OVER_HTTP.items():

    @case(f"{name}: a batch has all values, and an error is raised", transport)
    async def batch(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            for data in await session.execute_batch([GOOD_REQUEST, GOOD_REQUEST]):
                has_both(data)
            error = await failure(session.execute_batch([GOOD_REQUEST, BAD_REQUEST]))
        assert isinstance(error, TransportQueryError), repr(error)
        has_pi_alone(error.data or {}, error.errors or [])

    @case(f"{name}: a request that is too large is refused", transport)
    async def too_large(transport: Transport) -> None:
        request = GraphQLRequest(BOTH, variable_values={**GOOD, "padding": "x" * 1024 * 1024})
        async with Client(transport=transport()) as session:
            error = await failure(session.execute(request))
        assert isinstance(error, TransportServerError | TransportQueryError), repr(error)
        assert "1048576" in str(error) or getattr(error, "code", None) == 413, repr(error)

    @case(f"{name}: a client asks the next process", transport)
    async def next_process(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            has_both(await session.execute(GOOD_REQUEST))
            await asyncio.to_thread(terminate)
            await asyncio.to_thread(restart)
            has_both(await session.execute(GOOD_REQUEST))


for name, transport in OVER_SOCKETS.items():

    @case(f"{name}: a subscription comes to its end", transport)
    async def subscription(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            responses = [response async for response in session.subscribe(GraphQLRequest(CONVERGENCE))]
        assert terms(responses) == TERMS, responses

    @case(f"{name}: an iterator that is left midway leaves the socket usable", transport)
    async def midway(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            responses = session.subscribe(GraphQLRequest(LONG))
            assert terms([await anext(responses)]) == [1]
            await responses.aclose()
            has_both(await session.execute(GOOD_REQUEST))
            responses = [response async for response in session.subscribe(GraphQLRequest(CONVERGENCE))]
        assert terms(responses) == TERMS, responses

    @case(f"{name}: a client that ends midway closes its socket", transport)
    async def ends(transport: Transport) -> None:
        async with Client(transport=transport()) as session:
            async for response in session.subscribe(GraphQLRequest(LONG)):
                assert terms([response]) == [1]
                break

    @case(f"{name}: pings of the protocol have pongs", transport)
    async def ping(transport: Transport) -> None:
        pinging = transport(ping_interval=0.05, pong_timeout=10)
        async with Client(transport=pinging) as session:
            for _ in range(3):
                pinging.pong_received.clear()
                await pinging.pong_received.wait()
            has_both(await session.execute(GOOD_REQUEST))

    @case(f"{name}: a payload of connection_init is accepted", transport)
    async def init(transport: Transport) -> None:
        async with Client(transport=transport(init_payload={"Authorization": "Bearer of a token"})) as session:
            has_both(await session.execute(GOOD_REQUEST))

    @case(f"{name}: a drain cuts a subscription", transport)
    async def drain(transport: Transport) -> None:
        received: list[int] = []
        error = None
        try:
            async with Client(transport=transport()) as session:
                async for response in session.subscribe(GraphQLRequest(LONG)):
                    received += terms([response])
                    if len(received) == 1:
                        await asyncio.to_thread(terminate)
        except TransportConnectionFailed as failed:
            error = failed
        await asyncio.to_thread(restart)
        assert error, f"complete after {len(received)} responses"
        assert received[-1] != LONG_TERMS, received[-1]

    @case(f"{name}: a client that reconnects finds the next process", transport)
    async def reconnect(transport: Transport) -> None:
        client = Client(transport=transport())
        session = await client.connect_async(reconnecting=True, retry_execute=True)
        has_both(await session.execute(GOOD_REQUEST))
        await asyncio.to_thread(terminate)
        await asyncio.to_thread(restart)
        has_both(await session.execute(GOOD_REQUEST))
        await client.close_async()


run_cases()
