import { isAsyncIterable } from "@graphiql/toolkit";

/**
 * GraphiQL shows one result, and of a subscription it would show the last event alone. So its result is made of all
 * events, in the order in which they came.
 */
export function withAllEvents(fetcher) {
  return async (...request) => {
    const result = await fetcher(...request);
    return isAsyncIterable(result) ? collected(result) : result;
  };
}

function collected(results) {
  const iterator = results[Symbol.asyncIterator]();
  const events = [];
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const { done, value } = await iterator.next();
      if (!done) events.push(value);
      return { done, value: { events } };
    },
    // At once, also while an event is awaited, which a generator would not do.
    return: () => iterator.return(),
  };
}
