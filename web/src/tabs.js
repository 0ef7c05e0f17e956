/** What a newcomer wants to ask first. */
export const TABS = [
  {
    query: `# Both values in one request.
# Run it twice: then both are cached.

query Both($n: Int!, $terms: Int!) {
  fib(n: $n) {
    result
    cached
  }
  pi(terms: $terms) {
    result
    error
    cached
  }
}
`,
    variables: `{
  "n": 213,
  "terms": 1000
}
`,
  },
  {
    query: `# Several values of one kind, each under
# a name of its own.

query Aliases {
  small: fib(n: 10) {
    result
  }
  large: fib(n: 1000) {
    result
    digitCount
  }
  rough: pi(terms: 10) {
    result
    error
  }
  fine: pi(terms: 1000000) {
    result
    error
  }
}
`,
  },
  {
    query: `# F(5,000,000) has a million digits.
# These are the first and the last.

query FirstAndLastDigits($n: Int!) {
  fib(n: $n) {
    digitCount
    leading(digits: 30)
    trailing(digits: 30)
    cached
  }
}
`,
    variables: `{
  "n": 5000000
}
`,
  },
  {
    query: `# Fibonacci numbers in a row.

query Row($from: Int!, $count: Int!) {
  fibs(from: $from, count: $count) {
    n
    result
    cached
  }
}
`,
    variables: `{
  "from": 90,
  "count": 10
}
`,
  },
  {
    query: `# Digits of π in a row. Digit 0 is the 3,
# and digit 762 begins six nines.

query DigitsOfPi($from: Int!, $count: Int!) {
  piDigits(from: $from, count: $count) {
    from
    count
    result
    cached
  }
}
`,
    variables: `{
  "from": 762,
  "count": 100
}
`,
  },
  {
    query: `# How approximations come closer to π,
# all in one answer.

query Approximations($terms: Int!) {
  piConvergence(terms: $terms, points: 10) {
    terms
    result
    error
    cached
  }
}
`,
    variables: `{
  "terms": 1000000
}
`,
  },
  {
    query: `# How approximations come closer to π,
# one after the other.

subscription Convergence($terms: Int!) {
  piConvergence(terms: $terms, points: 10) {
    terms
    result
    error
    cached
  }
}
`,
    variables: `{
  "terms": 1000000
}
`,
  },
];
