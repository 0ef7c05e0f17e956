// Numbers as people read them.

const PI = "3.141592653589793";

export function grouped(number) {
  return number.toLocaleString("en");
}

export function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A small number with four digits, by a power of ten when it is very small. */
export function scientific(number) {
  const [digits, exponent] = number.toExponential(3).split("e");
  return exponent >= -3 ? String(Number(number.toPrecision(4))) : `${digits} × ${power(exponent)}`;
}

/** 10 to the power of `exponent`. */
export function power(exponent) {
  const raised = [...String(Number(exponent))].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));
  return `10${raised.join("")}`;
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

/** An approximation of π: the digits that are those of π stand out. */
export function approximation(result) {
  const text = String(result);
  let right = 0;
  while (right < text.length && text[right] === PI[right]) right += 1;
  const [whole, decimals = ""] = text.split(".");
  let position = 0;
  return [whole + (decimals && "."), ...(decimals.match(/.{1,3}/g) ?? [])].map((part) => {
    const agreeing = Math.max(0, Math.min(part.length, right - position));
    position += part.length;
    const group = element("span");
    if (agreeing) group.append(element("b", part.slice(0, agreeing)));
    group.append(part.slice(agreeing));
    return group;
  });
}

export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
