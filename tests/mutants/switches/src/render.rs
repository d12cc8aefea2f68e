//! Writes a file with a switch at each site.

use std::ops::Range;

use crate::Placed;
use crate::sites::{Kind, Site};

/// The file with switches, and where the code of each fault is in it.
///
/// Of the sites within a site, the switches are in its own code alone, not in that of its faults: only one fault acts at a time, and
/// the code would double with each level.
pub(crate) fn render(source: &str, mut sites: Vec<Site>) -> (String, Vec<Placed>) {
    // A site comes before those that it contains: a guard before the expression that it is.
    sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
    let mut renderer = Renderer { source, out: String::new(), placed: Vec::new() };
    renderer.piece(0..source.len(), &sites);
    (renderer.out, renderer.placed)
}

struct Renderer<'a> {
    source: &'a str,
    out: String,
    placed: Vec<Placed>,
}

impl Renderer<'_> {
    /// Writes a piece of the source and the sites that begin in it.
    fn piece(&mut self, piece: Range<usize>, mut sites: &[Site]) {
        let mut at = piece.start;
        while let Some((site, rest)) = sites.split_first() {
            self.out.push_str(&self.source[at..site.range.start]);
            let inner = rest.iter().take_while(|other| site.contains(other)).count();
            self.site(site, &rest[..inner]);
            at = site.range.end;
            sites = &rest[inner..];
        }
        self.out.push_str(&self.source[at..piece.end]);
    }

    fn site(&mut self, site: &Site, inner: &[Site]) {
        let (first, start) = (self.placed.len(), self.out.len());
        match site.kind {
            Kind::Body => {
                for (number, value) in &site.variants {
                    self.out.push_str(&format!(" if {} {{ return ", is_on(*number)));
                    self.variant(*number, value);
                    self.out.push_str("; }");
                }
                self.piece(site.range.clone(), inner);
            }
            Kind::Expression | Kind::Guard => {
                self.out.push('(');
                for (number, code) in &site.variants {
                    self.out.push_str(&format!("if {} {{ ", is_on(*number)));
                    self.variant(*number, code);
                    self.out.push_str(" } else ");
                }
                self.out.push_str("{ ");
                self.piece(site.range.clone(), inner);
                self.out.push_str(" })");
            }
            Kind::NoGuard => {
                self.out.push_str(" if true");
                for (number, _) in &site.variants {
                    self.out.push_str(" && ");
                    self.variant(*number, &format!("!{}", is_on(*number)));
                }
            }
        }
        let end = self.out.len();
        for placed in &mut self.placed[first..] {
            if placed.around == (0, 0) {
                placed.around = (start, end);
            }
        }
    }

    fn variant(&mut self, number: u32, code: &str) {
        let start = self.out.len();
        self.out.push_str(code);
        self.placed.push(Placed { number, start, end: self.out.len(), around: (0, 0) });
    }
}

impl Site {
    fn contains(&self, other: &Self) -> bool {
        self.range.start <= other.range.start && other.range.end <= self.range.end
    }
}

fn is_on(number: u32) -> String {
    format!("crate::fault_switch::is_on({number})")
}
