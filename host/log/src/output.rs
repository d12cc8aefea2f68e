//! A bounded queue in front of a file descriptor, and the thread that writes what is in the queue.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::platform::Target;

/// The maximum number of records that wait, and of their bytes. Further records are dropped, counted and reported.
const MAX_RECORDS: usize = 8192;
const MAX_BYTES: usize = 2 << 20;
/// How long to wait before the next try when the file accepts no bytes.
const RETRY: Duration = Duration::from_millis(500);
/// How long a flush waits for the next record to be written.
const STUCK: Duration = Duration::from_millis(500);

/// Queues records without waiting, and writes them in order.
#[derive(Clone)]
pub(super) struct Output(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Signals that a record has been queued, or that all are to be written now.
    wanted: Condvar,
    /// Signals that a record has been written.
    written: Condvar,
}

#[derive(Default)]
struct Queue {
    records: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Records dropped since the last report.
    dropped: u64,
    /// Whether the thread holds a record that is not wholly written.
    is_writing: bool,
    /// Records that were written or given up.
    done: u64,
    /// Whether the thread is to report repetitions now.
    is_flushing: bool,
    /// Whether a thread waits until everything is written.
    is_hurried: bool,
}

/// Records that found no room in any output of this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many records found no room in any output of this process.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl Output {
    /// Starts the thread, called `name`, that writes to `file`. It calls `report` every `every`,
    /// and with true before a flush ends; what that adds is written.
    ///
    /// A thread that cannot be started leaves an output that drops everything: no client depends on it.
    pub(super) fn start(
        name: &str,
        file: impl Target,
        every: Duration,
        report: impl Fn(&mut Vec<String>, bool) + Send + 'static,
    ) -> Self {
        let output =
            Self(Arc::new(Shared { queue: Mutex::default(), wanted: Condvar::new(), written: Condvar::new() }));
        let shared = Arc::clone(&output.0);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let _ = thread.spawn(move || {
            loop {
                // A panic costs one record or report. The panic hook logs it: in this queue.
                let _ = catch_unwind(AssertUnwindSafe(|| shared.write_all(&file, every, &report)));
                std::thread::sleep(RETRY);
            }
        });
        output
    }

    /// Queues a record, or drops and counts it if too much waits.
    pub(super) fn push(&self, record: &[u8]) {
        let mut queue = self.0.queue();
        if queue.records.len() >= MAX_RECORDS || queue.bytes + record.len() > MAX_BYTES {
            queue.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += record.len();
        queue.records.push_back(record.into());
        drop(queue);
        self.0.wanted.notify_one();
    }

    /// Waits until everything that was queued has been written, until the deadline at most; not for a file that takes nothing.
    pub(super) fn flush(&self, deadline: Instant) {
        let mut queue = self.0.queue();
        (queue.is_flushing, queue.is_hurried) = (true, true);
        self.0.wanted.notify_one();
        let mut last = (queue.done, Instant::now() + STUCK);
        while queue.is_flushing || queue.is_writing || !queue.records.is_empty() {
            let now = Instant::now();
            if queue.done != last.0 {
                last = (queue.done, now + STUCK);
            }
            let left = deadline.min(last.1).saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            self.0.written.wait_for(&mut queue, left);
        }
        queue.is_hurried = false;
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    fn write_all(&self, file: &impl Target, every: Duration, report: &impl Fn(&mut Vec<String>, bool)) {
        self.queue().is_writing = false;
        let mut next_report = Instant::now() + every;
        // How many dropped records no line reports yet, and the error by which the last record was lost that this thread had to write.
        let (mut lost, mut why) = (0, None);
        loop {
            let now = Instant::now();
            let mut queue = self.queue();
            if queue.is_flushing || now >= next_report {
                let is_last = queue.is_flushing;
                next_report = now + every;
                drop(queue);
                let mut lines = Vec::new();
                report(&mut lines, is_last);
                queue = self.queue();
                queue.is_flushing &= !is_last;
                for line in lines {
                    queue.bytes += line.len();
                    queue.records.push_back(line.into_bytes().into());
                }
            }
            let Some(record) = queue.records.pop_front() else {
                self.written.notify_all();
                let left = next_report.saturating_duration_since(now);
                // Spurious wake-ups do no harm.
                self.wanted.wait_for(&mut queue, left);
                continue;
            };
            queue.bytes -= record.len();
            queue.is_writing = true;
            lost += std::mem::take(&mut queue.dropped);
            drop(queue);
            match write(file, &record) {
                Ok(()) if lost > 0 => {
                    let cause =
                        why.take().map_or_else(|| "nothing read them".to_owned(), |error: io::Error| error.to_string());
                    let report = format!("introd: {lost} lines were not written: {cause}\n");
                    if write(file, report.as_bytes()).is_ok() {
                        lost = 0;
                    }
                }
                Ok(()) => (),
                Err(error) => {
                    lost += 1;
                    let is_full = matches!(
                        error.kind(),
                        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
                    );
                    why = Some(error);
                    if is_full {
                        self.wait_for_room();
                    }
                }
            }
            let mut queue = self.queue();
            queue.is_writing = false;
            queue.done += 1;
            if queue.records.is_empty() {
                self.written.notify_all();
            }
        }
    }

    /// Waits until the full disk may have room again, or until a flush is requested.
    fn wait_for_room(&self) {
        let until = Instant::now() + RETRY;
        let mut queue = self.queue();
        while !queue.is_hurried {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wanted.wait_for(&mut queue, left);
        }
    }
}

/// Writes a whole record. It is given up when the file accepts no bytes: the reader or the terminal is gone, the disk is full, or the file
/// is as large as it may be. A pipe that no program reads is waited for without end.
fn write(file: &impl Target, record: &[u8]) -> io::Result<()> {
    let mut rest = record;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(written) => rest = &rest[written.min(rest.len())..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => file.wait_for_room(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{BufRead as _, BufReader, Read as _, pipe};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn soon() -> Instant {
        Instant::now() + LONG
    }

    fn start(file: impl Target) -> Output {
        Output::start("test", file, LONG, |_, _| ())
    }

    #[test]
    fn records_are_written_in_order() {
        let (reader, writer) = pipe().unwrap();
        let output = start(writer.try_clone().unwrap());
        for number in 0..100 {
            output.push(format!("{number}\n").as_bytes());
        }
        output.flush(soon());
        let mut text = [0; 290];
        io::BufReader::new(reader).read_exact(&mut text).unwrap();
        assert_eq!(text.to_vec(), (0..100).map(|number| format!("{number}\n")).collect::<String>().into_bytes());
        drop(writer);
    }

    #[test]
    fn a_pipe_that_is_not_read_costs_lines_and_they_are_counted() {
        let (reader, writer) = pipe().unwrap();
        let output = start(writer);
        let record = [b'x'; 1023].iter().chain(b"\n").copied().collect::<Vec<u8>>();
        // This is more than the pipe and the queue hold together.
        for _ in 0..MAX_RECORDS {
            output.push(&record);
        }
        let queue = output.0.queue();
        assert!(!queue.records.is_empty() && queue.bytes <= MAX_BYTES);
        drop(queue);
        // A thread that gets to write in between reports what was lost until then, and later the rest.
        let (mut written, mut lost) = (0, 0);
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            match line.strip_suffix(" lines were not written: nothing read them") {
                Some(report) => lost += report.trim_start_matches("introd: ").parse::<usize>().unwrap(),
                None => written += 1,
            }
            if written + lost >= MAX_RECORDS {
                break;
            }
        }
        assert_eq!(written + lost, MAX_RECORDS);
        assert!(lost > 0 && written > 0);
        assert!(dropped() >= lost as u64, "other tests drop records too");
    }

    #[test]
    fn a_full_disk_and_a_reader_that_is_gone_are_survived() {
        let full = start(OpenOptions::new().write(true).open("/dev/full").unwrap());
        full.push(b"lost\n");
        full.flush(soon());
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let gone = start(writer);
        gone.push(b"lost\n");
        gone.push(b"lost too\n");
        gone.flush(soon());
        assert!(gone.0.queue().records.is_empty());
    }

    #[test]
    fn a_flush_waits_neither_for_a_reader_that_is_stuck_nor_for_a_full_disk() {
        let (reader, writer) = pipe().unwrap();
        let stuck = start(writer);
        stuck.push(&[b'x'; 1 << 20]);
        stuck.flush(soon());
        let queue = stuck.0.queue();
        assert!(queue.is_writing || !queue.records.is_empty());
        drop(queue);
        drop(stuck);
        drop(reader);
        let full = start(OpenOptions::new().write(true).open("/dev/full").unwrap());
        // If each record waited for the disk, so many would take far too long.
        (0..1000).for_each(|_| full.push(b"lost\n"));
        full.flush(soon());
        assert!(full.0.queue().records.is_empty());
    }

    #[test]
    fn a_panic_ends_no_output() {
        let (reader, writer) = pipe().unwrap();
        let panics = AtomicBool::new(true);
        let output = Output::start("test", writer, Duration::ZERO, move |_, _| {
            assert!(!panics.swap(false, Ordering::Relaxed), "a panic that the test makes");
        });
        output.push(b"a record\n");
        let mut bytes = [0; 9];
        io::BufReader::new(reader).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"a record\n");
    }

    #[test]
    fn reports_are_written_at_a_flush() {
        let (reader, writer) = pipe().unwrap();
        let output = Output::start("test", writer, LONG, |lines, is_last| {
            if is_last {
                lines.push("a report\n".to_owned());
            }
        });
        output.push(b"a record\n");
        output.flush(soon());
        drop(output);
        let mut bytes = [0; 18];
        io::BufReader::new(reader).read_exact(&mut bytes).unwrap();
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        assert_eq!(lines, [&b"a record\n"[..], b"a report\n"]);
    }
}
