// The explorer: one page, whose views are chosen by the address. A link to another view loads the page anew.
import { digits } from "./digits.js";
import { growth } from "./growth.js";
import { values } from "./values.js";
import { find } from "./view.js";

const VIEWS = { digits, growth };

const asked = new URLSearchParams(location.search).get("view");
const name = Object.hasOwn(VIEWS, asked) ? asked : undefined;
if (name) {
  const { content } = find(`#${name}-view`);
  for (const part of [".question", ".answers"]) find(part).replaceWith(content.querySelector(part));
}
find(`nav .view[href="${name ? `./?view=${name}` : "./"}"]`).ariaCurrent = "page";
find("main").dataset.view = name ?? "values";
(VIEWS[name] ?? values)();
