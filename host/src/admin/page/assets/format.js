// Numbers, times and ids as people read them.

const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** What stands for a value that the server does not know. */
export const UNKNOWN = '–';

const isUnknown = (value) => value === null || value === undefined;

export function number(value) {
    return isUnknown(value) ? UNKNOWN : NUMBER.format(value);
}

export function bytes(value) {
    if (isUnknown(value)) return UNKNOWN;
    let unit = 0;
    while (value >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit += 1;
    }
    return `${NUMBER.format(value)} ${UNITS[unit]}`;
}

/** A duration in seconds: how long something has lasted, or how long a decision took. */
export function duration(seconds) {
    if (isUnknown(seconds)) return UNKNOWN;
    if (seconds < 0.001) return `${NUMBER.format(seconds * 1e6)} µs`;
    if (seconds < 1) return `${NUMBER.format(seconds * 1e3)} ms`;
    if (seconds < 60) return `${NUMBER.format(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours} h ${minutes % 60} min`;
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day of an RFC 3339 time, in UTC as it is sent and as the log has it. */
export function time(at) {
    return isUnknown(at) ? UNKNOWN : at.slice(11, 19);
}

/** Day and time of an RFC 3339 time. */
export function moment(at) {
    return isUnknown(at) ? UNKNOWN : `${at.slice(0, 10)} ${at.slice(11, 19)}`;
}

/** The first digits of a peer id or a digest, which tell those of one server apart. */
export function short(id) {
    return isUnknown(id) ? UNKNOWN : id.length > 16 ? `${id.slice(0, 12)}…` : id;
}

export function text(value) {
    return isUnknown(value) || value === '' ? UNKNOWN : String(value);
}

/** A name of the interface in words: `late_policy` is "late policy". */
export function words(name) {
    return isUnknown(name) ? UNKNOWN : String(name).replaceAll('_', ' ');
}

export function yesNo(value) {
    return isUnknown(value) ? UNKNOWN : value ? 'yes' : 'no';
}

/** A name of an application instance as scripts and logs have it: `chat/room`. */
export function instance(application, name) {
    return isUnknown(application) ? UNKNOWN : isUnknown(name) ? application : `${application}/${name}`;
}
