"""Asks a phipi for a Fibonacci number and an approximation of π, both in one request."""

import sys
from pathlib import Path
from typing import TypedDict, cast

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

HERE = Path(__file__).parent
QUERY = (HERE / "both.graphql").read_text(encoding="utf-8")
SCHEMA = (HERE / "../../../schema.graphql").read_text(encoding="utf-8")


class Fibonacci(TypedDict):
    result: str  # int(result) is exact, however long it is
    cached: bool


class PiApproximation(TypedDict):
    result: float
    cached: bool


class Both(TypedDict, total=False):
    fib: Fibonacci | None
    pi: PiApproximation | None


def main(url: str, n: int, terms: int) -> str | None:
    """Prints both values; what it returns is the error."""
    # With the schema at hand, a field that it does not have is an error before anything is sent.
    client = Client(schema=SCHEMA, transport=HTTPXTransport(f"{url}/graphql"))
    request = GraphQLRequest(QUERY, variable_values={"n": n, "terms": terms})
    try:
        data, refusal = client.execute(request), None
    except TransportQueryError as error:
        # Each field answers for itself: when one fails, it is None, and the other is still there.
        data, refusal = error.data or {}, str(error)
    both = cast(Both, data)
    if fib := both.get("fib"):
        print(f"F({n}) = {fib['result']} (cached: {str(fib['cached']).lower()})")
    if pi := both.get("pi"):
        print(f"π({terms}) = {pi['result']} (cached: {str(pi['cached']).lower()})")
    return refusal


if __name__ == "__main__":
    try:
        url, n, terms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    except (IndexError, ValueError):
        sys.exit("usage: python both.py URL N TERMS, such as python both.py http://127.0.0.1:8000 213 1000")
    sys.exit(main(url, n, terms))
