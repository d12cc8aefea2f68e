// What happened at an address: its clients, and the events of programs that are no clients too.

import { read } from './api.js';
import { el, replace } from './dom.js';
import { eventItem } from './feed.js';
import { instance } from './format.js';
import { peerLink } from './links.js';
import { notice } from './notice.js';
import { keyedTable } from './table.js';

export const title = 'Address';

export function open(root, scope, [address = '']) {
    const table = keyedTable({
        caption: 'Clients at this address',
        empty: 'No client is connected from there.',
        key: ({ peer, address: at }) => `${peer} ${at}`,
        columns: [
            { head: 'Peer', text: ({ peer }) => peer, node: ({ peer }) => peerLink(peer) },
            { head: 'Address', text: ({ address: at }) => at },
            { head: 'Application', text: (client) => instance(client.application, client.instance) },
        ],
    });
    const list = el('ol', { class: 'events' });
    let shown = '';
    scope.every(
        4000,
        async (signal) => {
            const [clients, story] = await Promise.all([
                read('/clients', { address, limit: 100 }, signal),
                read('/events', { address, limit: 200 }, signal),
            ]);
            table.update(clients.clients);
            const state = JSON.stringify(story);
            if (state === shown) return;
            shown = state;
            replace(list, story.events.length > 0 ? story.events.map((event) => eventItem(event)) : el('li', {}, 'Nothing is known.'));
        },
        notice.ofReading,
    );
    root.append(el('p', { class: 'id' }, address), table.element, el('section', {}, el('h2', {}, 'Events'), list));
}
