// How many digits F(n) has, without F(n).

const LOG10_PHI = Math.log10((1 + Math.sqrt(5)) / 2);
const LOG10_SQRT_5 = Math.log10(5) / 2;

/** The digits of F(n): ⌊n·log10 φ − log10 √5⌋ + 1 of them. */
export function digitCount(n) {
  return n < 2 ? 1 : Math.floor(n * LOG10_PHI - LOG10_SQRT_5) + 1;
}

/** The largest n of which F(n) has at most `digits` digits. */
export function longest(digits) {
  return Math.ceil((digits + LOG10_SQRT_5) / LOG10_PHI) - 1;
}
