// The chart of lookups: what became of them in each second, as areas upon each other.

import { el, replace, setText, svg } from './dom.js';
import { number } from './format.js';
import { OUTCOMES } from './rates.js';

const WIDTH = 600;
const HEIGHT = 160;
/** How many readings are shown. */
const SLOTS = 120;

/** The next round number: 1, 2 or 5 times a power of ten. */
function roundedUp(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
    return [1, 2, 5, 10].map((factor) => factor * power).find((limit) => limit >= value);
}

export function lookupChart() {
    const paths = OUTCOMES.map(({ name }) => svg('path', { class: `area ${name}` }));
    const image = svg(
        'svg',
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Lookups in each second', preserveAspectRatio: 'none' },
        paths,
    );
    const highest = el('span', { class: 'scale' }, '');
    const values = OUTCOMES.map(() => el('strong', {}, '0'));
    const legend = el(
        'ul',
        { class: 'legend' },
        OUTCOMES.map(({ name, label }, place) =>
            el('li', {}, el('span', { class: `swatch ${name}`, 'aria-hidden': 'true' }), `${label}: `, values[place], ' /s'),
        ),
    );
    const rows = el('tbody');
    const figures = el(
        'details',
        {},
        el('summary', {}, 'The last ten seconds in figures'),
        el(
            'div',
            { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Lookups of the last ten seconds' },
            el(
                'table',
                {},
                el('caption', { class: 'visually-hidden' }, 'Lookups of the last ten seconds'),
                el(
                    'thead',
                    {},
                    el(
                        'tr',
                        {},
                        el('th', { scope: 'col' }, 'Time (UTC)'),
                        OUTCOMES.map(({ label }) => el('th', { scope: 'col', class: 'numeric' }, label)),
                    ),
                ),
                rows,
            ),
        ),
    );
    const element = el('div', { class: 'chart' }, el('div', { class: 'plot' }, highest, image), legend, figures);

    function update(all) {
        const shown = all.slice(-SLOTS);
        const totals = shown.map(({ outcomes }) => outcomes.reduce((total, value) => total + value, 0));
        const limit = roundedUp(Math.max(1, ...totals));
        const x = (place) => WIDTH - (shown.length - 1 - place) * (WIDTH / (SLOTS - 1));
        const y = (value) => HEIGHT - (value / limit) * HEIGHT;
        const base = shown.map(() => 0);
        paths.forEach((path, outcome) => {
            const lower = shown.map((_, place) => `${x(place).toFixed(1)},${y(base[place]).toFixed(1)}`);
            shown.forEach(({ outcomes }, place) => (base[place] += outcomes[outcome]));
            const upper = shown.map((_, place) => `${x(place).toFixed(1)},${y(base[place]).toFixed(1)}`);
            path.setAttribute('d', shown.length > 1 ? `M${upper.join('L')}L${lower.reverse().join('L')}Z` : '');
        });
        setText(highest, `${number(limit)} /s`);
        const last = shown.at(-1);
        OUTCOMES.forEach((_, place) => setText(values[place], number(last ? last.outcomes[place] : 0)));
        const summary = last ? OUTCOMES.map(({ label }, place) => `${label} ${number(last.outcomes[place])}`).join(', ') : '';
        image.setAttribute('aria-label', `Lookups in each second of the last two minutes. Now: ${summary || 'none yet'}.`);
        if (figures.open) {
            const latest = shown.slice(-10).reverse();
            replace(rows, latest.map(figureRow));
        }
    }
    return { element, update };
}

function figureRow({ at, outcomes }) {
    const time = new Date(at).toISOString().slice(11, 19);
    return el(
        'tr',
        {},
        el('th', { scope: 'row' }, time),
        outcomes.map((value) => el('td', { class: 'numeric' }, number(value))),
    );
}
