// Builds elements. What the server says becomes text and attributes, never markup: a client chooses its own names.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, properties, children) {
    for (const [name, value] of Object.entries(properties)) {
        if (value === null || value === undefined || value === false) continue;
        if (name === 'on') {
            for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
        } else {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
    element.append(...present(children));
    return element;
}

/** The children that are there: conditions in a list of children leave `null` or `false`. */
function present(children) {
    return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** An HTML element with attributes, listeners (`on`) and children (elements and texts). */
export function el(name, properties = {}, ...children) {
    return fill(document.createElement(name), properties, children);
}

/** An SVG element. */
export function svg(name, properties = {}, ...children) {
    return fill(document.createElementNS(SVG, name), properties, children);
}

/** Puts these children in place of those that an element has. */
export function replace(element, ...children) {
    element.replaceChildren(...present(children));
}

/** Sets a text, if it is another one: what does not change is not announced again by a screen reader. */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** Puts an element in place of what another one shows, unless it says the same: the focus and the selection stay then. */
export function replaceIfOther(element, content) {
    if (element.textContent !== content.textContent) replace(element, content);
}
