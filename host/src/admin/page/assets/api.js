// Asks the JSON interface of the server that this page comes from.

/** How long an answer may take, in milliseconds. */
const TIMEOUT = 10000;

/** A request that was not done. The message says why, in words for the reader. */
export class ApiError extends Error {
    constructor(status, message) {
        super(message);
        /** The status of HTTP; 0 if the server did not answer. */
        this.status = status;
    }
}

/**
 * The address of a path of the interface. It is absolute and has no login: a relative one would have that of a page that was opened with
 * a login in its address, and browsers fetch no such address.
 */
export function address(path, query = {}) {
    const url = new URL(`/api/v1${path}`, location.origin);
    for (const [name, value] of Object.entries(query)) {
        if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, value);
    }
    return url;
}

/** Reads a path. */
export function read(path, query, signal) {
    return request(address(path, query), { signal });
}

/** Does something. */
export function act(path, body = {}) {
    const headers = { 'Content-Type': 'application/json' };
    return request(address(path), { method: 'POST', headers, body: JSON.stringify(body) });
}

/** A part of a path: a name that a client or a file has chosen. */
export const part = encodeURIComponent;

async function request(url, { signal, ...options }) {
    const signals = [AbortSignal.timeout(TIMEOUT), ...(signal ? [signal] : [])];
    let response;
    let body;
    try {
        response = await fetch(url, { ...options, cache: 'no-store', signal: AbortSignal.any(signals) });
        body = await response.text();
    } catch {
        throw new ApiError(0, 'The server does not answer.');
    }
    const value = parsed(body);
    if (!response.ok) throw new ApiError(response.status, value?.error ?? (body.trim() || `Status ${response.status}.`));
    return value;
}

function parsed(body) {
    try {
        return JSON.parse(body);
    } catch {
        return null;
    }
}
