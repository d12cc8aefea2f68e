// What became of lookups, computed from two readings of the counters.

/** What can become of a lookup, from the bottom of the chart to its top, and the counters that count it. */
export const OUTCOMES = [
    { name: 'answered', label: 'answered with addresses', counters: ['rtmfp_redirects'] },
    { name: 'denied', label: 'denied by a policy', counters: ['rtmfp_lookups_denied'] },
    { name: 'unknown', label: 'peer not connected here', counters: ['rtmfp_lookups_unknown'] },
    {
        name: 'dropped',
        label: 'not answered',
        counters: [
            'rtmfp_lookups_unanswered',
            'rtmfp_lookups_over_rate',
            'registry_failures',
            'registry_timeouts',
            'registry_busy',
        ],
    },
];

const sum = (counters, names) => names.reduce((total, name) => total + (counters[name] ?? 0), 0);

/** Whether the counters begin anew in `next`: the server was started again. */
export function isRestart(previous, next) {
    return (next.counters.rtmfp_lookups ?? 0) < (previous.counters.rtmfp_lookups ?? 0);
}

/** How many of each outcome there were in a second between two readings, and how many lookups. */
export function rates(previous, next) {
    const seconds = Math.max((next.at - previous.at) / 1000, 0.001);
    const of = (names) => Math.max(0, sum(next.counters, names) - sum(previous.counters, names)) / seconds;
    return {
        at: next.at,
        lookups: of(['rtmfp_lookups']),
        outcomes: OUTCOMES.map(({ counters }) => of(counters)),
    };
}
