// The fields of a view: what they take, what is wrong with what they hold, and their part of the address.
import { grouped, wholeNumber } from "./numbers.js";

/** GraphQL's Int: no server takes a larger number. */
export const INT_MAX = 2 ** 31 - 1;

export class Fields {
  #form;
  #inputs;
  #view;
  #ranges;

  /** The fields of `form`, which are of the view of that name. The view that is shown by default has none. */
  constructor(form, view) {
    this.#form = form;
    this.#inputs = [...form.elements].filter(({ name }) => name);
    this.#view = view;
    form.addEventListener("input", () => this.#forgive());
  }

  /**
   * Has the fields tell and take these ranges from now on. They are a function of the numbers that all fields hold, and
   * have `{ least, most }` by the name of the field; a range that holds somewhere alone has `where`, in words.
   */
  admit(ranges) {
    this.#ranges = ranges;
    for (const input of this.#inputs) this.#begin(input);
    this.#hint();
  }

  /** The good numbers among what the fields hold. Each other field says what is wrong, and the first of them is to be typed in. */
  read() {
    this.#hint();
    for (const input of this.#inputs) this.complain(input.name, this.#fault(input));
    this.#form.querySelector("[aria-invalid=true]")?.focus();
    const good = this.#inputs.filter((input) => !this.#fault(input));
    return Object.fromEntries(good.map(({ name, value }) => [name, wholeNumber(value)]));
  }

  /** Tells what is wrong next to a field, or nothing when `message` is empty. */
  complain(name, message) {
    this.#form.elements[name].ariaInvalid = String(message !== "");
    this.#beside(name, "error").textContent = message;
  }

  focus(name) {
    this.#form.elements[name].focus();
  }

  /** Types a number into a field. */
  type(name, number) {
    this.#form.elements[name].value = String(number);
  }

  /** Keeps what was asked in the address, so that it can be shared, and Back leads to what was asked before. */
  remember() {
    if (location.search !== this.address()) history.pushState(null, "", this.address());
  }

  /** The address of what the fields hold. */
  address() {
    const view = this.#view ? [["view", this.#view]] : [];
    const values = this.#inputs.map(({ name, value }) => [name, wholeNumber(value) ?? value]);
    return `?${new URLSearchParams([...view, ...values])}`;
  }

  /** Fills the fields from the address, as far as it tells. */
  recall() {
    const told = new URLSearchParams(location.search);
    for (const input of this.#inputs) input.value = told.get(input.name) ?? input.defaultValue;
  }

  /** Has a field begin with a number that the server takes, unless the address or a person has another one there. */
  #begin(input) {
    const isUntouched = input.value === input.defaultValue && !new URLSearchParams(location.search).has(input.name);
    input.defaultValue = String(Math.min(wholeNumber(input.defaultValue), this.#range(input.name).most));
    if (isUntouched) input.value = input.defaultValue;
  }

  #range(name) {
    const typed = this.#inputs.map(({ name, value }) => [name, wholeNumber(value)]);
    return this.#ranges(Object.fromEntries(typed))[name];
  }

  /** What is wrong with what a field holds; nothing if it is a number that the server takes. */
  #fault({ name, value }) {
    const number = wholeNumber(value);
    const { least, most, where } = this.#range(name);
    const range = `from ${grouped(least)} to ${grouped(most)}`;
    const example = most >= 1_000 ? "1000 or 1,000" : grouped(most);
    if (number === undefined) return `Type a whole number ${range} in digits alone, such as ${example}.`;
    const takes = `${where ? `${where} ` : ""}this server takes whole numbers ${range}.`;
    if (number < least) return `Too small: ${takes}`;
    return number > most ? `Too large: ${takes}` : "";
  }

  #hint() {
    for (const { name } of this.#inputs) {
      const { least, most, where } = this.#range(name);
      const range = `whole number from ${grouped(least)} to ${grouped(most)}`;
      this.#beside(name, "hint").textContent = where ? `${capitalized(where)} a ${range}` : `A ${range}`;
    }
  }

  /** Takes back what was wrong and is no longer. */
  #forgive() {
    if (!this.#ranges) return;
    this.#hint();
    for (const input of this.#inputs) {
      if (input.ariaInvalid === "true" && !this.#fault(input)) this.complain(input.name, "");
    }
  }

  #beside(name, kind) {
    return document.getElementById(`${name}-${kind}`);
  }
}

function capitalized(text) {
  return text[0].toUpperCase() + text.slice(1);
}
