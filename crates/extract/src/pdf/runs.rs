//! Runs: characters drawn one after the other without a jump.
//!
//! Characters of two texts on one baseline must never be sorted into each other. So texts that lie over each
//! other (a filled form over its dotted line, a stamp, headers of two layers) are parted here, run by run,
//! before the characters of a line are put in order of place.

use std::{collections::HashSet, mem};

use super::lines::{COPY_OFFSET, Placed};

/// A step of this share of the font size, forward over a gap or back behind the last character, begins a run.
/// Justified blanks stay below 0.6; an accent drawn over its letter steps back by less than 1.
const JUMP_FORWARD: f32 = 0.6;
const JUMP_BACK: f32 = 1.0;

/// A run that lies over others by more than this share of its font size is another text; less is kerning, or
/// an accent drawn after its word.
const OVERLAP: f32 = 0.6;

/// Parts the characters of one baseline, as drawn, into lines whose runs do not lie over each other. A run
/// drawn a second time for boldness stays with the first.
pub(super) fn parted(open: Vec<Placed<'_>>) -> Vec<Vec<Placed<'_>>> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    let mut run: Vec<Placed<'_>> = Vec::new();
    for placed in open {
        if run.last().is_some_and(|last| jumps(last, &placed)) {
            part.take(mem::take(&mut run), &mut parts);
        }
        run.push(placed);
    }
    part.take(run, &mut parts);
    parts.push(part.placed);
    parts
}

fn jumps(last: &Placed<'_>, next: &Placed<'_>) -> bool {
    let gap = next.start - last.end;
    let size = last.size.min(next.size);
    gap > JUMP_FORWARD * size || gap < -JUMP_BACK * size
}

/// A line in the making.
#[derive(Default)]
struct Part<'g> {
    placed: Vec<Placed<'g>>,
    /// Where its runs stand: ascending and disjoint.
    occupied: Vec<(f32, f32)>,
    /// What stands where, places as in [`place`].
    drawn: HashSet<(i32, &'g str)>,
}

impl<'g> Part<'g> {
    /// Takes in a run; where that would lie over another, ends the line first.
    fn take(&mut self, run: Vec<Placed<'g>>, parts: &mut Vec<Vec<Placed<'g>>>) {
        let inked = || run.iter().filter(|placed| !placed.is_blank());
        let start = inked().map(|placed| placed.start.min(placed.end)).fold(f32::MAX, f32::min);
        let end = inked().map(|placed| placed.end.max(placed.start)).fold(f32::MIN, f32::max);
        if start < end {
            let size = inked().map(|placed| placed.size).fold(0.0, f32::max);
            if self.overlap(start, end) > OVERLAP * size && !self.has(&run) {
                let done = mem::take(self);
                parts.push(done.placed);
            }
            self.occupy(start, end);
        }
        self.drawn.extend(inked().map(|placed| (place(placed), placed.glyph.text.as_str())));
        self.placed.extend(run);
    }

    /// The length that is occupied between two places.
    fn overlap(&self, start: f32, end: f32) -> f32 {
        let from = self.occupied.partition_point(|taken| taken.1 <= start);
        let over = self.occupied[from..].iter().take_while(|taken| taken.0 < end);
        over.map(|taken| taken.1.min(end) - taken.0.max(start)).sum()
    }

    fn occupy(&mut self, start: f32, end: f32) {
        let from = self.occupied.partition_point(|taken| taken.1 < start);
        let to = self.occupied.partition_point(|taken| taken.0 <= end).max(from);
        let over = &self.occupied[from..to];
        let start = over.first().map_or(start, |first| first.0.min(start));
        let end = over.last().map_or(end, |last| last.1.max(end));
        self.occupied.splice(from..to, [(start, end)]);
    }

    /// Says whether a run repeats what stands in its place: four characters in five are enough, because
    /// programs part the two drawings differently.
    fn has(&self, run: &[Placed<'g>]) -> bool {
        let (mut inked, mut same) = (0, 0);
        for placed in run.iter().filter(|placed| !placed.is_blank()) {
            inked += 1;
            let (at, text) = (place(placed), placed.glyph.text.as_str());
            same += usize::from((-1..=1).any(|step| self.drawn.contains(&(at.saturating_add(step), text))));
        }
        same * 5 >= inked * 4
    }
}

/// A character's start, counted in the offset within which a second drawing is the same character.
#[expect(clippy::cast_possible_truncation, reason = "casts saturate, far outside any page")]
fn place(placed: &Placed<'_>) -> i32 {
    (placed.start / (COPY_OFFSET * placed.size).max(0.01)).round() as i32
}
