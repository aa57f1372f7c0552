// Building the page. Text becomes text nodes only: nothing in this program parses markup.

/** An element with properties, `aria-` and `data-` attributes, handlers (`onclick`), and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

const versions = new WeakMap(); // of the elements that `reconcile` has made

/**
 * Make the children of `parent` those in `rows`, `{key, version, make}`, and keep elements whose key and
 * version are the same: with them stay the focus, the selection and what a screen reader has read.
 */
export function reconcile(parent, rows) {
  const former = new Map(Array.from(parent.children, (child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const { key, version, make } of rows) {
    let element = former.get(key);
    former.delete(key);
    if (element && versions.get(element) === version) {
      if (element === next) {
        next = next.nextElementSibling;
        continue;
      }
    } else {
      const old = element;
      element = make();
      element.dataset.key = key;
      versions.set(element, version);
      if (old) {
        const focused = old.contains(document.activeElement) ? document.activeElement.dataset.focus ?? "" : null;
        if (old === next) next = next.nextElementSibling;
        old.replaceWith(element);
        if (focused !== null) (element.querySelector(`[data-focus="${CSS.escape(focused)}"]`) ?? element).focus();
        if (element.nextElementSibling === next) continue;
      }
    }
    parent.insertBefore(element, next);
  }
  for (const element of former.values()) element.remove();
}
