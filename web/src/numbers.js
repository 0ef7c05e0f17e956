// Numbers as people read and type them.

const PI = "3.141592653589793";

export function grouped(number) {
  return number.toLocaleString("en");
}

export function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * The whole number that a person typed: digits alone, or grouped by threes with one separator, as 1,000,000 and 1 000 000
 * are. Anything else is no number, rather than another one: 1,5 is not 15.
 */
export function wholeNumber(text) {
  const isNumber = /^\d+$|^[1-9]\d{0,2}([,_\s])\d{3}(\1\d{3})*$/.test(text.trim());
  return isNumber ? Number(text.replace(/\D/g, "")) : undefined;
}

/** A text with the digits of its whole numbers grouped, exactly, however long they are. */
export function withGroups(text) {
  return text.replace(/\d{4,}/g, (digits) => grouped(BigInt(digits)));
}

/**
 * A small number with four digits, by a power of ten when it is very small: nodes for a page. The exponent is an element,
 * since the page's font has not all of the characters that are raised by themselves.
 */
export function scientific(number) {
  const { digits, exponent } = parts(number);
  return exponent ? [`${digits} × 10`, element("sup", exponent)] : [digits];
}

/** The same, to be read aloud. */
export function spoken(number) {
  const { digits, exponent } = parts(number);
  return exponent ? `${digits} times 10 to the power of ${exponent}` : digits;
}

function parts(number) {
  const [digits, exponent] = number.toExponential(3).split("e");
  return exponent >= -3 ? { digits: String(Number(number.toPrecision(4))) } : { digits, exponent: signed(exponent) };
}

/** An exponent as it is written, with the sign of its font. */
export function signed(exponent) {
  return String(Number(exponent)).replace("-", "−");
}

/**
 * Digits in groups of three, counted from the last digit of a number of `digitCount` digits. The space between groups is
 * the style's, so that what is selected and copied is digits alone.
 */
export function groups(digits, digitCount = digits.length) {
  const first = digitCount % 3;
  const parts = [digits.slice(0, first), ...(digits.slice(first).match(/.{1,3}/g) ?? [])];
  return parts.filter(Boolean).map((part) => element("span", part));
}

/** F(n), of which large ones have only their first and last digits. */
export function fibonacci({ digitCount, result, leading, trailing }) {
  if (result) return groups(result);
  // Whole groups alone, on both sides of what is left out.
  const first = leading.slice(0, leading.length - ((leading.length - (digitCount % 3)) % 3));
  const between = element("i", `${counted(digitCount - first.length - trailing.length, "digit")} between`);
  return [...groups(first, digitCount), between, ...groups(trailing)];
}

/** How many characters of an approximation are those of π, from the first on. */
export function agreeing(result) {
  const text = String(result);
  let right = 0;
  while (right < text.length && text[right] === PI[right]) right += 1;
  return right;
}

/** An approximation of π: the digits that are those of π stand out. */
export function approximation(result) {
  const text = String(result);
  const right = agreeing(result);
  const [whole, decimals = ""] = text.split(".");
  let position = 0;
  return [whole + (decimals && "."), ...(decimals.match(/.{1,3}/g) ?? [])].map((part) => {
    const same = Math.max(0, Math.min(part.length, right - position));
    position += part.length;
    const group = element("span");
    if (same) group.append(element("b", part.slice(0, same)));
    group.append(part.slice(same));
    return group;
  });
}

export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
