// One group: its ring, and its members in the ring's order.

import { part, read } from './api.js';
import { el, setText } from './dom.js';
import { instance, number, text } from './format.js';
import { addressLink, peerLink } from './links.js';
import { live } from './live.js';
import { notice } from './notice.js';
import { pagedList } from './pages.js';
import { ring } from './ring.js';
import { keyedTable } from './table.js';

export const title = 'Group';

/** So many members are read for the ring. */
const DRAWN = 5000;
const PAGE = 1000;
/** How many hints are remembered. */
const HINTS = 1000;

/** A group is named by its digest, or by its key where several have one digest. */
export function open(root, scope, [name = '']) {
    const drawing = ring();
    const summary = el('p');
    const names = el('p', { class: 'id' }, name);
    let digest = name;
    let members = [];
    let hints = [];
    const table = keyedTable({
        caption: 'Members in the order of the ring',
        empty: 'The group has no members here.',
        key: ({ peer, address }) => `${peer} ${address}`,
        columns: [
            { head: 'Member', text: ({ peer }) => peer, node: ({ peer }) => peerLink(peer) },
            { head: 'Position', text: ({ position }) => position.slice(0, 16) },
            { head: 'Application', text: (member) => instance(member.application, member.instance) },
            { head: 'Address', text: ({ address }) => text(address), node: ({ address }) => addressLink(address) },
        ],
    });
    const path = `/groups/${part(name)}`;
    const list = pagedList({
        scope,
        table,
        load: async (page, signal) => {
            const answer = await read(path, page, signal);
            return { items: answer.members, next: answer.next };
        },
        failed: notice.ofReading,
    });
    const redraw = scope.every(
        5000,
        async (signal) => {
            const { all, total, group } = await membersOf(path, signal);
            if (group && group !== digest) {
                digest = group;
                setText(names, group);
                told(signal);
            }
            members = all;
            const isPart = total > all.length;
            const isThinned = drawing.update(members, hints);
            const arc = isPart && `The ring shows the first ${number(all.length)} of them, an arc.`;
            const thinned = isThinned && 'Members that stand close together share a dot.';
            setText(summary, [`${number(total)} members.`, arc, thinned].filter(Boolean).join(' '));
        },
        () => {},
    );
    scope.on(live, 'story', ({ detail }) => {
        if (detail.group !== digest && detail.group !== name) return;
        if (detail.kind === 'hint') {
            hints = [...hints, [detail.peer, detail.about]].slice(-HINTS);
            schedule();
        } else if (detail.kind.startsWith('group_')) {
            redraw();
            list.again();
        }
    });
    let timer = null;
    const schedule = () =>
        (timer ??= setTimeout(() => {
            timer = null;
            if (!scope.isOver) drawing.update(members, hints);
        }, 250));
    // The hints that were given before this view was opened.
    async function told(signal) {
        try {
            const { events } = await read('/events', { kind: 'hint', limit: HINTS }, signal);
            hints = events.filter(({ group }) => group === digest || group === name).map(({ peer, about }) => [peer, about]);
            schedule();
        } catch {
            // The ring is drawn without them.
        }
    }
    told(scope.signal);
    root.append(
        names,
        summary,
        el(
            'figure',
            {},
            drawing.element,
            el(
                'figcaption',
                {},
                'Thin lines are the links that members keep to their nearest on the ring. Thick lines are hints: the server told one member of the other.',
            ),
        ),
        list.element,
    );
}

/** The members for the ring, up to a bound, in its order. */
async function membersOf(path, signal) {
    const all = [];
    let after = null;
    let total = 0;
    let group = null;
    do {
        const page = await read(path, { limit: PAGE, after }, signal);
        all.push(...page.members);
        total = page.total;
        group = page.group;
        after = page.next;
    } while (after && all.length < DRAWN);
    return { all, total: Math.max(total ?? 0, all.length), group };
}
