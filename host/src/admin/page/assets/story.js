// A story: what happened to a peer, or at an address, in its order, and what comes.

import { part, read } from './api.js';
import { disconnect } from './actions.js';
import { el, replace, replaceIfOther, setText } from './dom.js';
import { eventItem } from './feed.js';
import { duration, instance, moment, text, words, yesNo } from './format.js';
import { addressLink, groupLink } from './links.js';
import { live } from './live.js';
import { notice } from './notice.js';
import { actionButton, rightsNote } from './rights.js';
import { facts } from './tiles.js';

export const title = 'Peer';

const INTERVAL = 4000;

export function open(root, scope, [peer = '']) {
    const client = el('div');
    const note = el('p', { class: 'note', hidden: true });
    const list = el('ol', { class: 'events' });
    const button = el('div', { class: 'buttons' });
    let events = '';
    const again = scope.every(
        INTERVAL,
        async (signal) => {
            const story = await read(`/peers/${part(peer)}`, {}, signal);
            const now = clientFacts(story.client && (await details(peer, signal)));
            // A reader who is at a link in it keeps the place, unless the peer has gone.
            if (!story.client || !client.contains(document.activeElement)) replaceIfOther(client, now);
            // The focus stays on the button, unless the peer has gone.
            if (!story.client) replace(button);
            else if (!button.hasChildNodes()) replace(button, actionButton('Disconnect', '', disconnectIt));
            note.hidden = story.events.length > 0 && !story.is_truncated;
            setText(note, story.is_truncated ? 'Older events are forgotten.' : 'Nothing is known of this peer.');
            const state = JSON.stringify(story.events);
            if (state === events) return;
            events = state;
            replace(list, story.events.map((event) => eventItem(event, true)));
        },
        notice.ofReading,
    );
    const disconnectIt = async () => (await disconnect(peer)) && again();
    scope.on(live, 'story', ({ detail }) => isAbout(detail, peer) && again());
    root.append(
        el('p', { class: 'id' }, peer),
        rightsNote() ?? '',
        el('section', {}, el('h2', {}, 'Now'), client, button),
        el('section', {}, el('h2', {}, 'Story'), note, list),
    );
}

const isAbout = (event, peer) => event.peer === peer || event.target === peer || event.about === peer;

/** Everything that is known of a client; nothing if it has gone meanwhile. */
async function details(peer, signal) {
    try {
        return await read(`/clients/${part(peer)}`, {}, signal);
    } catch (error) {
        if (error.status === 404) return null;
        throw error;
    }
}

/** What the server knows of a client. What this page has no words for is shown under its own name. */
function clientFacts(client) {
    if (!client) return el('p', {}, 'The peer is not connected to this server.');
    const known = ['peer', 'address', 'application', 'instance', 'connected', 'is_proven', 'groups'];
    const more = Object.entries(client).filter(([name, value]) => !known.includes(name) && value !== null);
    return facts([
        ['Address', addressLink(client.address)],
        ['Application', instance(client.application, client.instance)],
        ['Connected since (UTC)', moment(client.connected)],
        ['Peer id proven', yesNo(client.is_proven)],
        ...(Array.isArray(client.groups) ? [['Groups', client.groups.length > 0 ? client.groups.map(({ group, key }) => [groupLink(group, key), ' ']) : 'none']] : []),
        ...more.map(([name, value]) => [words(name.replace(/_(seconds|bytes)$/, '')), shown(name, value)]),
    ]);
}

function shown(name, value) {
    if (Array.isArray(value)) return text(value.map((one) => shown('', one)).join(', '));
    if (typeof value === 'object') return Object.entries(value).map(([key, one]) => `${words(key)} ${shown(key, one ?? '–')}`).join(', ');
    if (typeof value === 'number' && name.endsWith('_seconds')) return duration(value);
    return typeof value === 'boolean' ? yesNo(value) : text(value);
}
