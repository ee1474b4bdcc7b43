// Makes and fills elements. Text goes in as text: nothing in the portal parses markup from data.

const SVG = "http://www.w3.org/2000/svg";

/** An element of this document by id; a missing one is a mistake in index.html. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/** A new HTML element with attributes and children (elements or text). */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A new SVG element with attributes and children. */
export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Set an element's text, leaving the document alone when it says so already. Returns whether it changed. */
export function say(target, text) {
  if (target.textContent === text) return false;
  target.textContent = text;
  return true;
}
