// A table whose rows stay the same elements while what they show changes: the focus, the selection and a screen reader's place in it
// survive each update, and an update costs what has changed.

import { el } from './dom.js';

/**
 * A column has a `head`, and `text(item)`, which says what a cell shows; `node(item)` makes an element for it. A cell is made anew when its
 * text is another one. `numeric` columns are aligned to the right.
 */
export function keyedTable({ caption, columns, key, empty = 'Nothing yet.', hidesCaption = false }) {
    const body = el('tbody');
    const head = columns.map((column) => el('th', { scope: 'col', class: column.numeric && 'numeric' }, column.head));
    const table = el(
        'table',
        {},
        el('caption', { class: hidesCaption && 'visually-hidden' }, caption),
        el('thead', {}, el('tr', {}, head)),
        body,
    );
    // A table that is wider than the window scrolls by itself, with the keyboard too.
    const element = el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, table);
    const nothing = el('tr', { class: 'empty' }, el('td', { colspan: columns.length }, empty));
    const shown = new Map();

    function make() {
        const cells = columns.map((column, place) =>
            place === 0 ? el('th', { scope: 'row' }) : el('td', { class: column.numeric && 'numeric' }),
        );
        return { row: el('tr', {}, cells), cells, texts: [] };
    }

    function show(entry, item) {
        columns.forEach((column, place) => {
            const text = column.text(item);
            if (entry.texts[place] === text) return;
            entry.texts[place] = text;
            entry.cells[place].replaceChildren(column.node ? column.node(item) : text);
        });
    }

    function update(items) {
        const keys = new Set(items.map(key));
        // First what is gone: the others need not move then.
        for (const [known, entry] of shown) {
            if (!keys.has(known)) {
                entry.row.remove();
                shown.delete(known);
            }
        }
        nothing.remove();
        items.forEach((item, place) => {
            const known = key(item);
            if (!shown.has(known)) shown.set(known, make());
            const entry = shown.get(known);
            show(entry, item);
            if (body.children[place] !== entry.row) body.insertBefore(entry.row, body.children[place] ?? null);
        });
        if (shown.size === 0) body.append(nothing);
    }

    update([]);
    return { element, update };
}
