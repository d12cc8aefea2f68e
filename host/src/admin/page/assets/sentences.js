// What an event says, as a sentence with links.

import { addressLink, groupLink, peerLink } from './links.js';
import { duration, number, words } from './format.js';

const list = (values) => (values ?? []).join(', ');
const because = (reason) => (reason ? `: ${reason}` : '');
const by = (policy) => (policy ? `, decided by ${policy}` : '');

const SENTENCES = {
    connect: ({ agent, page_url: page }) => ['connected', agent && ` with ${agent}`, page && ` from the page ${page}`],
    connect_refused: ({ policy, reason }) => ['was refused', by(policy), because(reason)],
    addresses: ({ reported }) => ['reported the addresses ', list(reported) || 'none'],
    moved: ({ from }) => ['moved here from ', from],
    lookup: ({ target, verdict, policy, reason, seconds, repeat, times, redirected_to: to }) => [
        repeat || times > 0 ? 'asked again for ' : 'asked for ',
        target ? peerLink(target) : 'no peer',
        `: ${words(verdict)}`,
        by(policy),
        typeof seconds === 'number' && ` in ${duration(seconds)}`,
        because(reason),
        to?.length > 0 && `; was told of ${list(to)}`,
    ],
    looked_up: ({ asker, asker_address: address, verdict }) => [
        'was asked for by ',
        asker ? peerLink(asker) : addressLink(address),
        `: ${words(verdict)}`,
    ],
    forwarded: ({ to }) => ['was sent the hello of an asker', to && ` at ${to}`],
    met: ({ target, times, is_relayed: isRelayed }) => ['met ', peerLink(target), isRelayed && ' by the relay', times > 1 && ` after ${number(times)} requests`],
    unmet: ({ target, times, is_over: isOver }) => [
        isOver === false ? 'has not met ' : 'did not meet ',
        peerLink(target),
        isOver === false && ' yet',
        times > 0 && `: it asked again ${number(times)} times`,
    ],
    group_join: ({ group }) => ['joined the group ', groupLink(group)],
    group_leave: ({ group }) => ['left the group ', groupLink(group)],
    group_refused: ({ group, reason }) => ['was refused in ', group ? ['the group ', groupLink(group)] : 'a group', because(reason)],
    hint: ({ group, about }) => ['was told of the member ', peerLink(about), ' of the group ', groupLink(group)],
    disconnect: ({ reason, by: who }) => ['is gone', because(reason), who && ` (${who})`],
};

/** How an event is to be seen: what a peer wanted and did not get stands out. */
export function tone({ kind, verdict }) {
    if (['connect_refused', 'group_refused', 'unmet'].includes(kind)) return 'bad';
    if (['lookup', 'looked_up'].includes(kind) && ['denied', 'ignored', 'late_policy', 'unanswered'].includes(verdict)) return 'bad';
    return kind === 'met' ? 'good' : '';
}

/** The sentence of an event, without its subject. A kind that this page does not know is said by its name. */
export function sentence(event) {
    const known = Object.hasOwn(SENTENCES, event.kind) ? SENTENCES[event.kind] : ({ kind }) => [kind];
    return known(event);
}

/** Whom an event is about. */
export function subject({ peer, address }) {
    if (peer) return [peerLink(peer), address && [' at ', addressLink(address)]];
    return address ? addressLink(address) : 'the server';
}
