// A group as a ring: each member where its position in the group's address space is, from the top clockwise.

import { replace, svg } from './dom.js';
import { number, short } from './format.js';

const CENTRE = 200;
const RADIUS = 160;
/** A ring with more members is thinned: members that stand close together share a dot, which grows with their number. */
const MAX_DOTS = 240;
/** How many of the next members a member has links to, on each side. */
const NEIGHBOURS = 3;
/** How many hints are drawn. */
const MAX_HINTS = 400;

/** Where on the ring a position is, from 0 to 1. Its first 52 bits are more than a screen shows. */
export function fraction(position) {
    return parseInt(position.slice(0, 13), 16) / 2 ** 52;
}

function point(turn, radius = RADIUS) {
    const angle = turn * 2 * Math.PI - Math.PI / 2;
    return [CENTRE + radius * Math.cos(angle), CENTRE + radius * Math.sin(angle)];
}

/** The dots of a ring: all members, or those of each sector together. */
export function dots(members) {
    const each = members.map(({ peer, position }) => ({ turn: fraction(position), peer, count: 1 }));
    if (each.length <= MAX_DOTS) return each;
    const sectors = new Map();
    for (const { turn, peer } of each) {
        const sector = Math.floor(turn * MAX_DOTS);
        const dot = sectors.get(sector) ?? { turn: (sector + 0.5) / MAX_DOTS, peer, count: 0 };
        dot.count += 1;
        sectors.set(sector, dot);
    }
    return [...sectors.values()];
}

/** A chord that bends towards the centre, the more the further apart its ends are. */
function chord(from, to, className) {
    const ahead = (to - from + 1) % 1;
    const apart = Math.min(ahead, 1 - ahead);
    const middle = ahead <= 0.5 ? from + ahead / 2 : to + (1 - ahead) / 2;
    const [[x1, y1], [x2, y2]] = [point(from), point(to)];
    const [x, y] = point(middle, RADIUS * (0.75 - 1.5 * apart));
    return svg('path', { class: className, d: `M${x1} ${y1}Q${x} ${y} ${x2} ${y2}` });
}

export function ring() {
    const image = svg('svg', { viewBox: `0 0 ${2 * CENTRE} ${2 * CENTRE}`, role: 'img', class: 'ring' });

    /** `hints` are pairs of peer ids: who was told, and of whom. Gives whether the ring is thinned. */
    function update(members, hints) {
        const shown = dots(members);
        const isThinned = shown.some(({ count }) => count > 1);
        const turns = new Map(members.map(({ peer, position }) => [peer, fraction(position)]));
        const links = isThinned ? [] : neighbourLinks(shown);
        const told = hints
            .filter(([told, about]) => turns.has(told) && turns.has(about))
            .slice(-MAX_HINTS)
            .map(([told, about]) => chord(turns.get(told), turns.get(about), 'hint'));
        const label = `A ring with ${number(members.length)} members${isThinned ? `, drawn as ${shown.length} dots` : ''}, and ${told.length} hints of the server.`;
        image.setAttribute('aria-label', label);
        replace(image, svg('circle', { class: 'orbit', cx: CENTRE, cy: CENTRE, r: RADIUS }), links, told, shown.map(dot));
        return isThinned;
    }
    return { element: image, update };
}

/** Members of an overlay keep links to their nearest on both sides. */
function neighbourLinks(shown) {
    const reach = Math.min(NEIGHBOURS, Math.floor(shown.length / 2));
    return shown.flatMap(({ turn }, place) =>
        Array.from({ length: reach }, (_, step) => chord(turn, shown[(place + step + 1) % shown.length].turn, 'link')),
    );
}

function dot({ turn, peer, count }) {
    const [x, y] = point(turn);
    const name = count > 1 ? `${number(count)} members` : short(peer);
    return svg('circle', { class: 'dot', cx: x, cy: y, r: Math.min(4 + Math.sqrt(count), 14) }, svg('title', {}, name));
}
