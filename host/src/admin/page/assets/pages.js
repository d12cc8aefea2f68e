// A list in pages, as the interface gives it: whatever its length, the page holds one part of it.

import { el, setText } from './dom.js';
import { number } from './format.js';

/** How many rows a page of the list has. */
const ROWS = 100;

/**
 * `load(query, signal)` gives `{ items, next }`. The rows go to `table`. A page is read again every few seconds, so that it shows who
 * comes and goes.
 */
export function pagedList({ scope, table, load, refresh = 4000, failed }) {
    // Where each page up to this one begins.
    let starts = [null];
    let next = null;
    const previous = el('button', { type: 'button', on: { click: () => turn(starts.slice(0, -1)) } }, 'Previous');
    const following = el('button', { type: 'button', on: { click: () => turn([...starts, next]) } }, 'Next');
    const where = el('span', { role: 'status' });
    const element = el('div', {}, table.element, el('nav', { class: 'pages', 'aria-label': 'Pages of the list' }, previous, where, following));

    async function show(signal) {
        const asked = starts;
        const page = await load({ limit: ROWS, after: asked.at(-1) }, signal);
        // Another page was asked for meanwhile.
        if (asked !== starts) return;
        if (page.items.length === 0 && starts.length > 1) {
            // All that this page had are gone.
            starts = starts.slice(0, -1);
            return show(signal);
        }
        next = page.next ?? null;
        table.update(page.items);
        previous.disabled = starts.length === 1;
        following.disabled = next === null;
        const first = (starts.length - 1) * ROWS;
        const count = page.items.length;
        setText(where, count === 0 ? 'No rows' : `Rows ${number(first + 1)} to ${number(first + count)}${next === null ? ', the last' : ''}`);
    }

    const reload = scope.every(refresh, show, failed);

    function turn(to) {
        starts = to;
        return reload();
    }

    /** `again` reads the page once more; `first` begins anew, because other rows are wanted. */
    return { element, again: reload, first: () => turn([null]) };
}
