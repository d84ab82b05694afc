//! The pages of a file in their order, a page that stands in it twice or cannot be read included.
//!
//! `hayro` takes a page that the tree names a second time for a loop and leaves it out, as it does with a page whose object
//! is damaged, and every page behind it would be cited by the number before its own.

use std::collections::{HashMap, HashSet};

use hayro::hayro_syntax::{
    Pdf,
    object::{Array, Dict, MaybeRef, Object, ObjectIdentifier},
    page::Page,
};

/// Deepest page tree followed. Programs balance theirs: ten levels hold more pages than anybody has.
const DEPTH: usize = 64;

/// The pages of `pdf` as its page tree names them, at most `limit` and one more; `None` for one that cannot be read.
pub(super) fn pages<'p>(pdf: &'p Pdf, limit: u64) -> Vec<Option<&'p Page<'p>>> {
    let found = pdf.pages();
    let places: Option<HashMap<ObjectIdentifier, usize>> =
        found.iter().zip(0..).map(|(page, place)| Some((page.raw().obj_id()?, place))).collect();
    let named = places.and_then(|places| Some((named(pdf, &places, limit)?, places.len())));
    match named {
        // A tree that does not name what was found by searching the file says nothing about its order.
        Some((order, all)) if order.iter().flatten().collect::<HashSet<_>>().len() == all => {
            order.iter().map(|place| found.get((*place)?)).collect()
        }
        _ => found.iter().map(Some).collect(),
    }
}

/// The places of the pages among those found, in the order of the tree; `None` where it has no root. Kids that cannot be
/// read count where the root counts them as well: files also name pages that were taken out of them.
fn named(pdf: &Pdf, places: &HashMap<ObjectIdentifier, usize>, limit: u64) -> Option<Vec<Option<usize>>> {
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id())?;
    let root = catalog.get::<Dict<'_>>("Pages")?;
    let mut order = Vec::new();
    let mut path = vec![(root.obj_id(), root.get::<Array<'_>>("Kids")?.raw_iter())];
    while let Some((_, kids)) = path.last_mut() {
        let Some(kid) = kids.next() else {
            path.pop();
            continue;
        };
        let MaybeRef::Ref(reference) = kid else { continue };
        let id = ObjectIdentifier::from(reference);
        if let Some(place) = places.get(&id) {
            order.push(Some(*place));
        } else if path.len() < DEPTH && path.iter().all(|(above, _)| *above != Some(id)) {
            let node = pdf.xref().get::<Object<'_>>(id).and_then(Object::into_dict);
            match node.and_then(|node| Some((Some(id), node.get::<Array<'_>>("Kids")?.raw_iter()))) {
                Some(node) => path.push(node),
                None => order.push(None),
            }
        }
        if order.len() as u64 > limit {
            break;
        }
    }
    if root.get::<usize>("Count") != Some(order.len()) {
        order.retain(Option::is_some);
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pdf::tests::pdf;

    fn widths(file: &str, limit: u64) -> Vec<f32> {
        let pdf = Pdf::new(Arc::new(file.as_bytes().to_vec())).ok().unwrap();
        pages(&pdf, limit).iter().flatten().map(|page| page.render_dimensions().0).collect()
    }

    #[test]
    fn a_page_named_twice_is_two_pages() {
        let boxed = |width: u32| format!("/MediaBox[0 0 {width} 100]");
        let sizes = [boxed(100), boxed(200), boxed(300)];
        let file = pdf(&sizes.each_ref().map(|size| ("", size.as_str())), "", "");
        let file = String::from_utf8(file).unwrap();
        assert_eq!(widths(&file, 10), [100.0, 200.0, 300.0]);
        let kids = file.find("/Kids[").unwrap() + "/Kids[".len();
        let first: String = file[kids..].split_inclusive('R').take(1).collect();
        // Without its table, so that the places of objects may move.
        let twice = format!("{}{first} {}", &file[..kids], &file[kids..]).replace("startxref", "lost");
        assert_eq!(widths(&twice, 10), [100.0, 100.0, 200.0, 300.0]);
        let endless = format!("{}{} {}", &file[..kids], format!("{first} ").repeat(50), &file[kids..]);
        assert_eq!(
            widths(&endless.replace("startxref", "lost"), 10).len(),
            3,
            "what is cut says nothing about the rest"
        );
    }
}
