// A list of events, the newest first. It is bounded, is drawn a few times in a second at most, and can be stopped to be read.

import { el, replace, setText } from './dom.js';
import { number, time } from './format.js';
import { sentence, subject, tone } from './sentences.js';

const KEPT = 60;
const PAUSE = 250;

/** Which events a reader may want alone. */
const CHOICES = {
    'all events': () => true,
    'meetings and lookups': ({ kind }) => ['lookup', 'looked_up', 'forwarded', 'met', 'unmet'].includes(kind),
    'refusals': (event) => tone(event) === 'bad',
    'clients that come and go': ({ kind }) => ['connect', 'connect_refused', 'moved', 'disconnect'].includes(kind),
    'groups': ({ kind }) => kind.startsWith('group') || kind === 'hint',
};

/** One event as an item of a list. */
export function eventItem(event, isAboutOne = false) {
    return el(
        'li',
        { class: `event ${tone(event)}`, 'data-kind': event.kind },
        el('time', { datetime: event.at }, time(event.at)),
        ' ',
        isAboutOne ? null : [subject(event), ' '],
        sentence(event),
    );
}

export function feed() {
    const list = el('ol', { class: 'events', 'aria-label': 'Events, the newest first' });
    const missed = el('p', { class: 'note', hidden: true });
    const choice = el(
        'select',
        { id: 'feed-choice', on: { change: () => draw() } },
        Object.keys(CHOICES).map((name) => el('option', { value: name }, name)),
    );
    const stop = el('button', { type: 'button', 'aria-pressed': 'false', on: { click: toggle } }, 'Hold the list');
    const controls = el('div', { class: 'controls' }, el('label', { for: 'feed-choice' }, 'Show'), choice, stop);
    const element = el('div', {}, controls, missed, list);
    // Those of each choice: a flood of one kind does not push out what the reader wants to see.
    const kept = new Map(Object.keys(CHOICES).map((name) => [name, []]));
    let timer = null;
    let isHeld = false;
    let lost = 0;

    function toggle() {
        isHeld = !isHeld;
        stop.setAttribute('aria-pressed', String(isHeld));
        if (!isHeld) draw();
    }

    function add(event) {
        for (const [name, wants] of Object.entries(CHOICES)) {
            if (wants(event)) {
                const events = kept.get(name);
                events.unshift(event);
                events.length = Math.min(events.length, KEPT);
            }
        }
        timer ??= setTimeout(draw, PAUSE);
    }

    function draw() {
        clearTimeout(timer);
        timer = null;
        if (!isHeld) replace(list, kept.get(choice.value).map((event) => eventItem(event)));
    }

    function missing(count) {
        lost += count;
        missed.hidden = false;
        setText(missed, `${number(lost)} events came too fast to be shown.`);
    }

    return { element, add, missing };
}
