// Who is connected: by application, in pages.

import { read } from './api.js';
import { disconnect } from './actions.js';
import { el, replace } from './dom.js';
import { instance, number, text } from './format.js';
import { addressLink, href, peerLink } from './links.js';
import { live } from './live.js';
import { notice } from './notice.js';
import { pagedList } from './pages.js';
import { actionButton, rights, rightsNote } from './rights.js';
import { keyedTable } from './table.js';

export const title = 'Clients';

/** The parts of the address are the application and the beginning of a peer id, either of which may be empty. */
export function open(root, scope, [application = '', prefix = '']) {
    // The peers on this page of the list.
    let shown = new Set();
    const table = keyedTable({
        caption: 'Connected clients',
        hidesCaption: true,
        empty: 'No client is connected that fits.',
        key: ({ peer, address }) => `${peer} ${address}`,
        columns: columns(() => list.again()),
    });
    const list = pagedList({
        scope,
        table,
        load: async (page, signal) => {
            const answer = await read('/clients', { ...page, application, peer: prefix }, signal);
            shown = new Set(answer.clients.map(({ peer }) => peer));
            return { items: answer.clients, next: answer.next };
        },
        failed: notice.ofReading,
    });
    const applications = el('div');
    scope.every(
        5000,
        async (signal) => {
            const answer = await read('/applications', { limit: 1000 }, signal);
            replace(applications, byApplication(answer.applications, application));
        },
        () => {},
    );
    // A client that goes disappears at once, not at the next look at the list.
    scope.on(live, 'story', ({ detail }) => detail.kind === 'disconnect' && shown.has(detail.peer) && list.again());
    const chosen = [application && `of ${application}`, prefix && `whose peer id begins with ${prefix}`].filter(Boolean);
    root.append(
        el('section', {}, el('h2', {}, 'Applications'), applications),
        el(
            'section',
            {},
            el('h2', {}, chosen.length > 0 ? `Clients ${chosen.join(', ')}` : 'All clients'),
            chosen.length > 0 && el('p', {}, el('a', { href: href('clients') }, 'Show all clients')),
            rightsNote() ?? '',
            list.element,
        ),
    );
}

function columns(again) {
    const all = [
        { head: 'Peer', text: ({ peer }) => text(peer), node: ({ peer }) => peerLink(peer) },
        { head: 'Address', text: ({ address }) => text(address), node: ({ address }) => addressLink(address) },
        { head: 'Application', text: (client) => instance(client.application, client.instance) },
    ];
    if (!rights.mayAct) return all;
    const button = ({ peer }) =>
        actionButton('Disconnect', peer.slice(0, 12), async () => (await disconnect(peer)) && again());
    return [...all, { head: 'Action', text: ({ peer }) => peer, node: button }];
}

function byApplication(applications, chosen) {
    if (applications.length === 0) return el('p', {}, 'No application has been used yet.');
    const clients = ({ instances }) => instances.reduce((sum, { clients: count }) => sum + (count ?? 0), 0);
    return el(
        'ul',
        { class: 'chips' },
        applications.map((application) =>
            el(
                'li',
                {},
                el(
                    'a',
                    { href: href('clients', application.name), 'aria-current': application.name === chosen && 'true' },
                    `${application.name}: ${number(clients(application))}`,
                ),
            ),
        ),
    );
}
