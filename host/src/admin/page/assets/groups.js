// The groups that have members here.

import { read } from './api.js';
import { el } from './dom.js';
import { number, text } from './format.js';
import { groupLink } from './links.js';
import { notice } from './notice.js';
import { pagedList } from './pages.js';
import { keyedTable } from './table.js';

export const title = 'Groups';

export function open(root, scope) {
    const table = keyedTable({
        caption: 'Groups',
        hidesCaption: true,
        empty: 'No group has members that joined it over this server.',
        key: ({ key }) => key,
        columns: [
            { head: 'Group', text: ({ group, key }) => group ?? key, node: ({ group, key }) => groupLink(group, key) },
            { head: 'Scope', text: ({ scope: of }) => text(of) },
            { head: 'Members here', numeric: true, text: ({ members }) => number(members) },
        ],
    });
    const list = pagedList({
        scope,
        table,
        load: async (page, signal) => {
            const answer = await read('/groups', page, signal);
            return { items: answer.groups, next: answer.next };
        },
        failed: notice.ofReading,
    });
    root.append(
        el('p', {}, 'A group is known by the digest of its groupspec. The server sees members that joined over the server channel.'),
        list.element,
    );
}
