// The numbers that the oracle answers with, made by simpler methods than phipi's: a row of Fibonacci numbers is added up, and
// the digits of π come by Machin's formula.

// A function of one number that evaluates none twice.
function remembered(evaluate) {
  const values = new Map();
  return (number) => {
    if (!values.has(number)) values.set(number, evaluate(number));
    return values.get(number);
  };
}

export const fibonacciNumber = remembered((n) => String(fibonacciPair(n)[0]));

// F(n) and F(n + 1), by doubling.
function fibonacciPair(n) {
  if (n === 0) return [0n, 1n];
  const [a, b] = fibonacciPair(Math.floor(n / 2));
  const [even, odd] = [a * (2n * b - a), a * a + b * b];
  return n % 2 === 0 ? [even, odd] : [odd, even + odd];
}

// `count` numbers from F(from) on, each the sum of the two before it.
export function fibonacciRow(from, count) {
  const row = fibonacciPair(from);
  while (row.length < count) row.push(row.at(-2) + row.at(-1));
  return row.slice(0, count);
}

// Digits of π, where digit 0 is the 3.
export function digitsOfPi(from, count) {
  const end = from + count;
  return machin(Math.max(1_024, 2 ** Math.ceil(Math.log2(end)))).slice(from, end);
}

// The last digits of a sum of a hundred thousand terms are not exact.
const GUARD = 20;

// At least as many digits of π = 16·arccot 5 − 4·arccot 239, and some that are not exact.
const machin = remembered((digits) => {
  const one = 10n ** BigInt(digits + GUARD);
  return String(16n * inverseCotangent(5n, one) - 4n * inverseCotangent(239n, one));
});

// 1/x − 1/(3·x³) + 1/(5·x⁵) − …, in units of 1/one.
function inverseCotangent(x, one) {
  let power = one / x;
  let sum = power;
  for (let odd = 3n; power !== 0n; odd += 2n) {
    power /= -x * x;
    sum += power / odd;
  }
  return sum;
}

// Fixed-point numbers with this many decimals.
const DECIMALS = 80;
const ONE = 10n ** BigInt(DECIMALS);
const PI = 3_14159265358979323846264338327950288419716939937510582097494459230781640628620899n;

// The number to which a fixed-point number is rounded: reading a decimal rounds correctly.
const toNumber = (fixed) => Number(`${fixed}e-${DECIMALS}`);

export const basel = remembered((terms) => {
  const result = toNumber(squareRoot(6n * inverseSquares(terms) * ONE));
  // A result of 2 to 4 is a multiple of 2^-51.
  const exact = (BigInt(result * 2 ** 51) * ONE) / 2n ** 51n;
  return { result, error: toNumber(PI - exact) };
});

// 1/1² + … + 1/terms². Of many terms, π²/6 without the rest by the Euler–Maclaurin formula, to 10^-30 and better.
function inverseSquares(terms) {
  const n = BigInt(terms);
  const power = (exponent) => ONE / n ** exponent;
  if (terms > 10_000) {
    const rest = power(1n) - power(2n) / 2n + power(3n) / 6n - power(5n) / 30n + power(7n) / 42n;
    return (PI * PI) / ONE / 6n - rest;
  }
  let sum = 0n;
  for (let i = 1n; i <= n; i++) sum += ONE / (i * i);
  return sum;
}

function squareRoot(square) {
  if (square === 0n) return 0n;
  let root = 10n ** BigInt(Math.ceil(String(square).length / 2));
  for (;;) {
    const next = (root + square / root) / 2n;
    if (next >= root) return root;
    root = next;
  }
}

// At most this many different numbers from 1 to `largest`, evenly spaced on a logarithmic scale.
export function spaced(largest, points) {
  const numbers = Array.from({ length: points }, (_, k) => Math.round(largest ** (k / Math.max(points - 1, 1))));
  numbers[points - 1] = largest;
  return [...new Set(numbers)];
}
