//! A program on a terminal of its own: a pseudoterminal whose other end the test reads and types at.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::text::Text;
use crate::waiting::DEADLINE;

/// A program that runs on a terminal. It is killed when this is dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Text,
}

impl Terminal {
    /// Starts a program on a terminal of that size.
    ///
    /// # Panics
    /// If there is no terminal for it, or it cannot be started.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&near).expect("the terminal may be used");
        unlockpt(&near).expect("the terminal may be used");
        let name = ptsname(&near, Vec::new()).expect("the terminal has a name");
        let far: OwnedFd =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("a terminal");
        tcsetwinsize(&near, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
        let near = File::from(near);
        let end = || Stdio::from(far.try_clone().expect("a descriptor"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm").spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        // The program alone has the far end then, so that the end of the program is the end of what it shows.
        drop((command, far));
        let screen = Text::read(near.try_clone().expect("a descriptor"));
        Self { child, keyboard: near, screen }
    }

    /// What the program has written, with the sequences that move the cursor.
    pub fn screen(&self) -> &Text {
        &self.screen
    }

    /// Types something.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Waits for the end of the program: its exit code, and all that it has written.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn ended(mut self) -> (Option<i32>, String) {
        assert!(self.screen.wait_until_closed(Instant::now() + DEADLINE), "the program does not end");
        let code = self.child.wait().expect("it is a child").code();
        (code, self.screen.so_far())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the terminal shows:\n{:?}\n---", self.screen.so_far());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_program_on_a_terminal_reads_what_is_typed_and_knows_the_size() {
    let mut command = Command::new("sh");
    command.args(["-c", "test -t 0 && test -t 1 && stty size && read line && echo \"<<$line>>\"; exit 3"]);
    let mut terminal = Terminal::start(command, 91, 17);
    terminal.screen().wait_for("17 91", 1);
    terminal.type_in("hello\n");
    let (code, shown) = terminal.ended();
    assert!(code == Some(3) && shown.contains("<<hello>>"), "{code:?} {shown:?}");
}
