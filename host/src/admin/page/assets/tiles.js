// Figures with their names.

import { el, setText } from './dom.js';

/** A list of `names` with values, which `update` sets by an object. */
export function tiles(names) {
    const values = Object.fromEntries(Object.keys(names).map((key) => [key, el('dd', {}, '–')]));
    const element = el(
        'dl',
        { class: 'tiles' },
        Object.entries(names).map(([key, label]) => el('div', {}, el('dt', {}, label), values[key])),
    );
    const update = (texts) => Object.entries(texts).forEach(([key, text]) => setText(values[key], text));
    return { element, update };
}

/** A list of names and values, made once. Entries are `[name, value]`; a value is a text or elements. */
export function facts(entries) {
    return el(
        'dl',
        { class: 'facts' },
        entries.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
    );
}
