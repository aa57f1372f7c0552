// Suggestions above the input: names after `@`, commands after `/`. Arrow keys choose, Tab and Enter accept.

import { byId, h } from "./dom.js";
import { visibleLine } from "./text.js";

const SHOWN_MAX = 6;

export class Suggestions {
  #items = [];
  #chosen = 0;
  #start = 0;

  /** @param find Called with `@` or `/` and the letters after it; returns pairs of a text to insert and a help. */
  constructor(input, find) {
    this.input = input;
    this.find = find;
    this.list = byId("suggestions");
    input.addEventListener("blur", () => this.close());
  }

  get isOpen() {
    return this.#items.length > 0;
  }

  /** The text has changed. */
  update() {
    const { value, selectionStart: caret } = this.input;
    const typed = /(?:^|[\s(])(@)([^\s@]{0,40})$|^(\/)([\w-]*)$/u.exec(value.slice(0, caret));
    const [sign, letters] = typed ? [typed[1] ?? typed[3], typed[2] ?? typed[4]] : ["", ""];
    this.#start = caret - letters.length - 1;
    this.#items = typed ? this.find(sign, letters.toLowerCase()).slice(0, SHOWN_MAX) : [];
    this.#chosen = 0;
    this.#draw();
  }

  close() {
    this.#items = [];
    this.#draw();
  }

  /** Handle a key of the input; returns whether it was for the suggestions. */
  press({ key, shiftKey }) {
    if (!this.isOpen || shiftKey) return false;
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (step) this.#chosen = (this.#chosen + step + this.#items.length) % this.#items.length;
    else if (key === "Tab" || key === "Enter") return this.#accept(this.#items[this.#chosen], key);
    else if (key === "Escape") this.#items = [];
    else return false;
    this.#draw();
    return true;
  }

  #accept([text], key) {
    const { value, selectionStart: caret } = this.input;
    const isWhole = value.slice(this.#start, caret) === text;
    this.input.setRangeText(`${text} `, this.#start, caret, "end");
    this.close();
    return !(isWhole && key === "Enter"); // nothing to complete: Enter sends
  }

  #draw() {
    const rows = this.#items.map(([text, help], i) => {
      const item = h("li", { id: `suggestion-${i}`, role: "option", "aria-selected": i === this.#chosen }, h("bdi", {}, visibleLine(text)), h("small", {}, help));
      item.onpointerdown = (event) => {
        event.preventDefault(); // the focus stays in the input
        this.#accept(this.#items[i], "Tab");
      };
      return item;
    });
    this.list.hidden = !rows.length;
    this.list.replaceChildren(...rows);
    if (rows.length) this.input.setAttribute("aria-activedescendant", `suggestion-${this.#chosen}`);
    else this.input.removeAttribute("aria-activedescendant");
  }
}
