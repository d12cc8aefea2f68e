// Did they meet? Introductions by their outcome, by the NATs of both ends, and the pairs that did not meet.

import { read } from './api.js';
import { el, replaceIfOther } from './dom.js';
import { bytes, duration, moment, number, text, words } from './format.js';
import { peerLink } from './links.js';
import { live } from './live.js';
import { notice } from './notice.js';
import { keyedTable } from './table.js';
import { facts } from './tiles.js';

export const title = 'Introductions';

export function open(root, scope) {
    const outcomes = keyedTable({
        caption: 'What became of introductions',
        empty: 'No introduction has ended yet.',
        key: ([name]) => name,
        columns: [
            { head: 'Outcome', text: ([name]) => words(name) },
            { head: 'Introductions', numeric: true, text: ([, count]) => number(count) },
        ],
    });
    const pairs = keyedTable({
        caption: 'Which kinds of pairs meet',
        empty: 'No pair has tried yet.',
        key: ({ asker_nat: asker, target_nat: target }) => `${asker} ${target}`,
        columns: [
            { head: 'Asker', text: ({ asker_nat: nat }) => words(nat) },
            { head: 'Target', text: ({ target_nat: nat }) => words(nat) },
            { head: 'Met', numeric: true, text: ({ met }) => number(met) },
            { head: 'Met by a relay', numeric: true, text: ({ relayed }) => number(relayed) },
            { head: 'Did not meet', numeric: true, text: ({ not_met: not }) => number(not) },
            { head: 'Share that met', numeric: true, text: share },
        ],
    });
    const unmet = keyedTable({
        caption: 'Pairs that did not meet, and what helps',
        empty: 'No pair has failed to meet so far.',
        key: ({ at, asker, address, target }) => `${at} ${asker ?? address} ${target}`,
        columns: [
            { head: 'Asker', text: ({ asker, address }) => text(asker ?? address), node: ({ asker, address }) => who(asker, address) },
            { head: 'Target', text: ({ target }) => text(target), node: ({ target }) => peerLink(target) },
            { head: 'What helps', text: ({ advice }) => text(advice) },
            { head: 'Their NATs', text: ({ asker_nat: asker, target_nat: target }) => `${words(asker)}; ${words(target)}` },
            { head: 'Requests', numeric: true, text: ({ times }) => number(times) },
            { head: 'Time (UTC)', text: ({ at }) => moment(at) },
        ],
    });
    const relay = el('div');
    const relayed = keyedTable({
        caption: 'Pairs that the server relays',
        empty: 'No pair has a relay now.',
        key: ({ asker, asker_address: address, target, seconds }) => `${asker ?? address} ${target} ${seconds}`,
        columns: [
            { head: 'Asker', text: ({ asker, asker_address: address }) => text(asker ?? address), node: ({ asker, asker_address: address }) => who(asker, address) },
            { head: 'Target', text: ({ target }) => text(target), node: ({ target }) => peerLink(target) },
            { head: 'State', text: ({ is_open: isOpen }) => (isOpen ? 'open' : 'not used yet') },
            { head: 'Passed on', numeric: true, text: (pair) => bytes(pair.bytes) },
            { head: 'Datagrams', numeric: true, text: ({ datagrams }) => number(datagrams) },
            { head: 'For', numeric: true, text: ({ seconds }) => duration(seconds) },
        ],
    });
    scope.every(
        4000,
        async (signal) => {
            const answer = await read('/relay', {}, signal);
            replaceIfOther(relay, relayFacts(answer));
            relayed.update(answer.list);
        },
        notice.ofReading,
    );
    const again = scope.every(
        4000,
        async (signal) => {
            const answer = await read('/introductions', {}, signal);
            outcomes.update(Object.entries(answer.outcomes).filter(([, count]) => count > 0));
            pairs.update(answer.pairs);
            unmet.update([...answer.unmet].reverse());
        },
        notice.ofReading,
    );
    scope.on(live, 'story', ({ detail }) => ['met', 'unmet'].includes(detail.kind) && again());
    root.append(
        el(
            'p',
            {},
            'A peer that has been introduced goes on asking until the other one answers it. Where it stops soon, the two have met; where it goes on and gives up, they have not.',
        ),
        unmet.element,
        outcomes.element,
        pairs.element,
        el('section', {}, el('h2', {}, 'Relay'), relay, relayed.element),
    );
}

/** What the relay did, if the server has one. */
function relayFacts(relay) {
    if (!relay.is_on) {
        return el('p', {}, 'The server has no relay: pairs that cannot meet directly do not meet. RTMFP/Relay in Application.xml (conf/README.md) changes that.');
    }
    const counts = (names) => Object.entries(names).filter(([, count]) => count > 0).map(([name, count]) => `${words(name)} ${number(count)}`).join(', ') || 'none';
    return facts([
        ['Pairs now', number(relay.pairs)],
        ['Open', number(relay.open)],
        ['Pairs made, and opened', `${number(relay.made)}, ${number(relay.opened)}`],
        ['Passed on', `${bytes(relay.bytes)} in ${number(relay.datagrams)} datagrams`],
        ['Pairs refused', counts(relay.refused)],
        ['Datagrams dropped', counts(relay.dropped)],
        ['Pairs ended', counts(relay.ended)],
    ]);
}

function share({ met, relayed, not_met: not }) {
    const all = met + relayed + not;
    return all > 0 ? `${number((100 * (met + relayed)) / all)} %` : '–';
}

/** An asker is a peer id, or the address of a program that is no client. */
function who(asker, address) {
    return asker && /^[0-9a-f]{64}$/.test(asker) ? peerLink(asker) : text(asker ?? address);
}
