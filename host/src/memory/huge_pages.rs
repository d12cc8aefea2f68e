//! Memory of many clients in huge pages.
//!
//! A lookup among 100,000 clients reads memory that the processor's caches do not hold, and most of such a read is spent on translating the
//! address: with pages of 4 KiB the translations fill far more than what the processor keeps of them. With huge pages (2 MiB) nearly all are at
//! hand. The kernel makes huge pages by itself only where a process asks for them in advance, which would give a small server more memory than it
//! uses. So the server asks for them when it has many clients (`MADV_COLLAPSE`, Linux 6.1), and only where nearly all of a huge page is in use already.

use std::io;
use std::time::{Duration, Instant};

use procfs::process::{MMPermissions, MMapPath, MemoryPageFlags, PageInfo, PageMap, Process};
use rustix::io::Errno;

use super::change;

/// With fewer clients than this the memory is small enough for the processor.
const LEAST: usize = 8192;

/// The bytes of a huge page.
const HUGE: usize = 2 << 20;
/// The bytes of a small page. Where they are more, huge pages are larger as well, and the kernel refuses what this asks for.
const SMALL: usize = 4096;
/// So many small pages of a huge one are in use at least. The others take memory that was free before: 3 % at most.
const USED: usize = HUGE / SMALL / 32 * 31;
/// So long it takes at a time, or as long as one page does, which on a busy computer is up to 20 ms. A second later it goes on.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Where the kernel says whether processes may have huge pages.
const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// `MADV_COLLAPSE` of linux/mman.h.
const COLLAPSE: libc::c_int = 25;

/// Puts memory into huge pages as the number of clients grows.
#[derive(Debug, Default)]
pub(super) struct HugePages {
    /// The number of clients when it became due last.
    clients: usize,
    /// The address up to which the memory has been looked at since then, unless all has been.
    reached: Option<usize>,
    /// The kernel has none for this process: it is not asked again.
    is_refused: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Collapsed {
    /// How many bytes that the kernel was asked for are in huge pages now.
    bytes: usize,
    /// Why some are not, as the kernel said last.
    error: Option<Errno>,
    /// The address up to which the memory was looked at, unless all was.
    reached: Option<usize>,
}

impl HugePages {
    /// The memory is looked at again when the next clients come, or at once if there are many.
    pub(super) fn begin_anew(&mut self) {
        self.clients = 0;
    }

    /// Puts memory into huge pages, if the number of clients has grown by much: a part of it in each call.
    pub(super) fn look(&mut self, clients: usize) {
        if self.is_due(clients) {
            self.reached = Some(0);
        }
        let Some(from) = self.reached else { return };
        let begin = Instant::now();
        match collapse(from) {
            Ok(Collapsed { bytes, error, reached }) => {
                self.reached = reached;
                // That there are none left (EAGAIN, ENOMEM) is a matter of the moment.
                self.is_refused = bytes == 0 && error.is_some_and(|error| error == Errno::INVAL);
                tracing::debug!(clients, bytes, ?error, took = ?begin.elapsed(), "memory was put into huge pages");
            }
            Err(error) => {
                (self.reached, self.is_refused) = (None, true);
                tracing::debug!(%error, "memory stays in small pages");
            }
        }
    }

    fn is_due(&mut self, clients: usize) -> bool {
        // After many have gone, those that come next make it due again.
        self.clients = self.clients.min(clients.saturating_mul(2));
        let is_due =
            !self.is_refused && clients >= LEAST && clients > self.clients && change::is_large(self.clients, clients);
        if is_due {
            self.clients = clients;
        }
        is_due
    }
}

/// Puts memory from an address on into huge pages of which nearly all is in use, for [`AT_ONCE`]. Other threads go on meanwhile; one that
/// uses a page which is just being moved waits for a fraction of a millisecond. What is in a huge page already costs some microseconds.
fn collapse(from: usize) -> io::Result<Collapsed> {
    if std::fs::read_to_string(ENABLED)?.contains("[never]") {
        return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{ENABLED} says never")));
    }
    let own = Process::myself().map_err(io::Error::other)?;
    let mut pages = own.pagemap().map_err(io::Error::other)?;
    let (mut collapsed, begin) = (Collapsed::default(), Instant::now());
    for page in places(&own)?.filter(|page| *page >= from) {
        if begin.elapsed() >= AT_ONCE {
            collapsed.reached = Some(page);
            break;
        }
        if is_used(&mut pages, page)? {
            collapsed.add(page);
        }
    }
    Ok(collapsed)
}

/// Where huge pages can be in the memory that is the process's alone and can be written: the heap.
fn places(own: &Process) -> io::Result<impl Iterator<Item = usize>> {
    let writable = MMPermissions::READ | MMPermissions::WRITE | MMPermissions::PRIVATE;
    let maps = own.maps().map_err(io::Error::other)?;
    let heap = maps
        .into_iter()
        .filter(move |map| map.perms == writable && matches!(map.pathname, MMapPath::Heap | MMapPath::Anonymous));
    Ok(heap.flat_map(|map| {
        let (begin, end) = (map.address.0 as usize, map.address.1 as usize);
        (begin.next_multiple_of(HUGE)..(end + 1).saturating_sub(HUGE)).step_by(HUGE)
    }))
}

/// Whether nearly all of a huge page is in use.
fn is_used(pages: &mut PageMap, address: usize) -> io::Result<bool> {
    let first = address / SMALL;
    let infos = pages.get_range_info(first..first + HUGE / SMALL).map_err(io::Error::other)?;
    let is_there = |info: &&PageInfo| match info {
        PageInfo::MemoryPage(page) => page.contains(MemoryPageFlags::PRESENT),
        PageInfo::SwapPage(_) => false,
    };
    Ok(infos.iter().filter(is_there).count() >= USED)
}

impl Collapsed {
    /// Puts the memory at an address into a huge page.
    #[allow(unsafe_code, reason = "no crate wraps MADV_COLLAPSE")]
    fn add(&mut self, page: usize) {
        let address = std::ptr::without_provenance_mut(page);
        // SAFETY: what is in the memory stays as it is, whoever uses it meanwhile: the kernel copies it while nobody can write it. If a part of it
        // has been unmapped since it was found, the kernel says so; if something else has been mapped there, that keeps its content, too.
        if unsafe { libc::madvise(address, HUGE, COLLAPSE) } == 0 {
            self.bytes += HUGE;
        } else {
            self.error = io::Error::last_os_error().raw_os_error().map(Errno::from_raw_os_error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of this process that are in huge pages.
    fn in_huge_pages() -> u64 {
        let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    #[test]
    fn used_memory_is_put_into_huge_pages_and_keeps_its_content() {
        let content = |at: usize| (at / 7) as u8;
        let memory: Vec<u8> = (0..16 << 20).map(content).collect();
        if std::fs::read_to_string(ENABLED).is_ok_and(|text| !text.contains("[never]")) {
            // The kernel fails for the moment if others, here other tests, use a page that is to be moved.
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let Collapsed { error, .. } = collapse(memory.as_ptr() as usize).unwrap();
                if in_huge_pages() >= 14 << 20 {
                    break;
                }
                assert!(Instant::now() < deadline, "{error:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
            let nothing = collapse(usize::MAX).unwrap();
            assert_eq!((nothing.bytes, nothing.reached), (0, None), "there is nothing so far up");
        } else {
            assert!(collapse(0).is_err(), "the kernel has none for anybody");
        }
        assert!(memory.iter().enumerate().all(|(at, byte)| *byte == content(at)));
    }

    #[test]
    fn memory_of_which_much_is_unused_stays_in_small_pages() {
        // Memory that is zero is not there until it is written: every second page is.
        let mut memory = vec![0_u8; 16 << 20];
        memory.iter_mut().step_by(2 * SMALL).for_each(|byte| *byte = 1);
        let first = (memory.as_ptr() as usize).next_multiple_of(HUGE);
        let mut pages = Process::myself().unwrap().pagemap().unwrap();
        assert!(!is_used(&mut pages, first).unwrap());
        memory.iter_mut().step_by(SMALL).for_each(|byte| *byte = 1);
        assert!(is_used(&mut pages, first).unwrap());
    }

    #[test]
    fn it_is_due_when_many_clients_have_come_and_when_many_more_have() {
        let mut huge_pages = HugePages::default();
        let mut due = |clients| huge_pages.is_due(clients);
        let numbers = [0, 8191, 8192, 9361, 9362, 9363, 100_000, 114_284, 114_285, 20_000, 45_713, 45_714, 0, 8192];
        // Many clients have gone before 45,713 are there.
        let expected = [false, false, true, false, true, false, true, false, true, false, false, true, false, true];
        assert_eq!(numbers.map(&mut due), expected);
        huge_pages.begin_anew();
        assert!(huge_pages.is_due(8192) && !huge_pages.is_due(8192));
        huge_pages.is_refused = true;
        assert!(!huge_pages.is_due(1_000_000));
    }
}
