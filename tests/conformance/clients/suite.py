"""The cases of one client against the program whose address is the argument.

Each case prints a line, "ok" or "not ok" with what was seen; the last line counts those that passed.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable
from typing import Any

BASE = sys.argv[1]
URL = f"{BASE}/graphql"
SOCKET_URL = URL.replace("http", "ws")

F_213 = "146178119651438213260386312206974243796773058"
PI_1000 = 3.1406380562059932

BOTH = "query Both($n: Int!) { fib(n: $n) { result cached } pi(terms: 1000) { result cached } }"
# A list, and digits of π: those from the 762nd decimal on are six nines.
ROWS = (
    "query Rows($from: Int!) { fibs(from: $from, count: 3) { n result } piDigits(from: 762, count: 6) { from result } }"
)
INVALID = "{ nothing }"
CONVERGENCE = "subscription Convergence { piConvergence(terms: 1000, points: 4) { terms result } }"
TERMS = [1, 10, 100, 1000]

# Arguments of `fib` that the program answers, and that it refuses.
GOOD = {"n": 213}
BAD = {"n": -1}

# The first index of `fibs` that the program answers, and one that it refuses.
GOOD_ROWS = {"from": 93}
BAD_ROWS = {"from": -1}

# A subscription of about 50 MB, which no buffer between the program and a client holds.
LONG_TERMS = 2147483647
PADDED = " ".join(f"r{k}{'_' * 990}: result" for k in range(50))
LONG = f"subscription Long {{ piConvergence(terms: {LONG_TERMS}, points: 1000) {{ terms {PADDED} }} }}"

# No case takes longer, however busy the machine is.
CASE_SECONDS = 20

_cases: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []


def case(name: str, *arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a case, which fails by an exception. A case may be a coroutine."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        _cases.append((name, run, arguments))
        return run

    return register


def run_cases() -> None:
    """Runs all cases in order, and ends the process."""
    passed = 0
    for name, run, arguments in _cases:
        try:
            asyncio.run(asyncio.wait_for(_run(run, arguments), CASE_SECONDS))
        except Exception as error:  # noqa: BLE001, the suite goes on with the next case
            print(f"not ok {name}: {type(error).__name__} {' '.join(str(error).split())[:500]}", flush=True)
        else:
            passed += 1
            print(f"ok {name}", flush=True)
    print(f"{passed} of {len(_cases)}", flush=True)
    sys.exit(passed != len(_cases))


async def _run(run: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if inspect.iscoroutinefunction(run):
        await run(*arguments)
    else:
        await asyncio.to_thread(run, *arguments)


def _ask(command: str, reply: str) -> None:
    print(command, flush=True)
    assert sys.stdin.readline().strip() == reply


def terminate() -> None:
    """Sends SIGTERM to the program."""
    _ask("terminate", "terminated")


def restart() -> None:
    """Waits for the end of the program, and for another that listens on the same port."""
    _ask("restart", "restarted")


def has_both(data: dict[str, Any]) -> None:
    """Checks both values and their types."""
    assert data["fib"]["result"] == F_213, data
    assert data["pi"]["result"] == PI_1000, data
    assert isinstance(data["fib"]["cached"], bool), data
    assert isinstance(data["pi"]["cached"], bool), data


def has_pi_alone(data: dict[str, Any], errors: list[dict[str, Any]]) -> None:
    """Checks that `pi` is answered though `fib` is refused."""
    assert data["fib"] is None, data
    assert data["pi"]["result"] == PI_1000, data
    assert errors[0]["path"] == ["fib"], errors
    assert "n must be a whole number from 0 to 10000000, but it is -1" in errors[0]["message"], errors
    assert errors[0]["extensions"]["code"] == "BAD_USER_INPUT", errors


def has_rows(data: dict[str, Any]) -> None:
    """Checks a list in its order, and the digits of π."""
    assert [(each["n"], each["result"]) for each in data["fibs"]] == [
        (93, "12200160415121876738"),
        (94, "19740274219868223167"),
        (95, "31940434634990099905"),
    ], data
    assert data["piDigits"] == NINES, data


def has_digits_alone(data: dict[str, Any], errors: list[dict[str, Any]]) -> None:
    """Checks that the digits of π are answered though the list is refused."""
    assert data == {"fibs": None, "piDigits": NINES}, data
    assert errors[0]["path"] == ["fibs"], errors
    assert "from must be a whole number from 0 to 10000000, but it is -1" in errors[0]["message"], errors


NINES = {"from": 762, "result": "999999"}


def is_invalid(errors: list[dict[str, Any]]) -> None:
    """Checks the only error of a document that is not valid."""
    assert len(errors) == 1, errors
    assert errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED", errors
