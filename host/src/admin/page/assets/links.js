// The addresses of the page's views. They stand behind `#`, so that no view is loaded anew.

import { el } from './dom.js';
import { UNKNOWN, short } from './format.js';

/** The address of a view. Its parts are escaped: nothing that a client chose can leave the fragment. */
export function href(view, ...parts) {
    return `#/${[view, ...parts].map(encodeURIComponent).join('/')}`;
}

/** The view that the page's address names, and its parts. What cannot be read names none. */
export function current() {
    try {
        const parts = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
        return { view: parts[0] || 'overview', parts: parts.slice(1) };
    } catch {
        return { view: 'unknown', parts: [] };
    }
}

/** A link to a peer's story. */
export function peerLink(peer) {
    if (!peer) return UNKNOWN;
    return el('a', { href: href('peer', peer), title: peer, class: 'id' }, short(peer));
}

/** A link to a group. It has a digest, which the server may not know, and a key, which tells groups of one digest apart. */
export function groupLink(group, key = group) {
    const name = group ?? key;
    if (!name) return UNKNOWN;
    return el('a', { href: href('group', key ?? name), title: name, class: 'id' }, short(name));
}

/** A link to what happened at an address. */
export function addressLink(address) {
    if (!address) return UNKNOWN;
    return el('a', { href: href('address', address) }, address);
}
