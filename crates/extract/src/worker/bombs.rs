//! Hostile files through a real pool: each ends in time with a typed error or a harmless document, and the
//! next file is served as if nothing had been.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use fontes_core::Cancel;

use super::{WorkerLimits, tests::pool};
use crate::{package::zipped, pdf::tests::pdf};

/// No bomb may take longer. The limit of a file in production is twice that.
const PATIENCE: u64 = 30;

fn limits() -> WorkerLimits {
    WorkerLimits { wall_seconds: PATIENCE, cpu_seconds: PATIENCE, ..WorkerLimits::default() }
}

/// A hostile file and the ends that are harmless: an error code, or `ok`.
pub(super) struct Bomb<'b> {
    pub what: &'b str,
    pub name: &'b str,
    pub bytes: Vec<u8>,
    pub expected: &'b [&'b str],
}

/// Parses each bomb and compares what became of it with what may.
pub(super) fn defuse(bombs: &[Bomb<'_>]) {
    let pool = pool(limits());
    let cancel = Cancel::default();
    for Bomb { what, name, bytes, expected } in bombs {
        let begun = Instant::now();
        let mut codes: Vec<&str> = Vec::new();
        pool.extract_tree(bytes, name, &cancel, &mut |part| {
            codes.push(part.result.as_ref().err().map_or("ok", |error| error.code()));
        });
        let elapsed = begun.elapsed();
        assert!(elapsed < Duration::from_secs(PATIENCE + 5), "{what}: {elapsed:?}");
        let worst = codes.iter().find(|code| **code != "ok").copied().unwrap_or("ok");
        assert!(expected.contains(&worst), "{what}: {codes:?} after {elapsed:?}");
        let next = pool.extract(b"still here", "a.txt", &cancel).map(|extraction| extraction.document.text);
        assert_eq!(next.as_deref(), Ok("still here\n"), "after {what}");
    }
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn docx(document: &[u8]) -> Vec<u8> {
    zipped(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document)])
}

#[test]
fn containers_that_inflate_nest_or_lie() {
    let zeros = vec![0; 64 << 20];
    let mut nested = zipped(&[("a.txt", b"deep")]);
    for _ in 0..8 {
        nested = zipped(&[("inner.zip", &nested)]);
    }
    let names: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let mut tar = vec![0; 1024];
    tar[..5].copy_from_slice(b"a.txt");
    tar[124..135].copy_from_slice(b"77777777777");
    tar[156] = b'0';
    tar[257..262].copy_from_slice(b"ustar");
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("zip bomb", "a.zip", zipped(&[("zeros", &zeros)]), &["limit"][..]),
        bomb("nested zips", "a.zip", nested, &["limit"][..]),
        bomb("many entries", "a.zip", zipped(&many), &["limit"][..]),
        bomb("gzip bomb", "a.gz", gzip(&zeros), &["limit"][..]),
        bomb("tar that lies about a length", "a.tar", tar, &["ok", "corrupted", "unsupported"][..]),
        bomb("zip cut in the middle", "a.zip", zipped(&[("a", &zeros)])[..1000].to_vec(), &["corrupted"][..]),
    ]);
}

#[test]
fn markup_that_expands_or_nests() {
    let laughs = br#"<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><d>&b;</d>"#;
    let open = |tag: &str, times: usize| tag.repeat(times).into_bytes();
    let spaces = [b"<w:document>".as_slice(), &vec![b' '; 64 << 20], b"</w:document>"].concat();
    let sheet = "<office:document-content xmlns:office='o' xmlns:table='t' xmlns:text='x'><office:body><office:spreadsheet><table:table>\
         <table:table-row table:number-rows-repeated='1048576'><table:table-cell table:number-columns-repeated='16384'>\
         <text:p>x</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body>\
         </office:document-content>";
    let ods =
        zipped(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", sheet.as_bytes())]);
    let mime: String = (0..5_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"))
        .collect();
    let mail = format!("From: a@b\r\nTo: c@d\r\nSubject: x\r\nMIME-Version: 1.0\r\n{mime}");
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("entities", "a.docx", docx(laughs), &["unsafe"][..]),
        bomb("deep XML", "a.docx", docx(&open("<w:p>", 1_000_000)), &["limit"][..]),
        bomb("inflated XML", "a.docx", docx(&spaces), &["limit"][..]),
        bomb("deep HTML", "a.html", open("<div>", 100_000), &["limit"][..]),
        bomb("deep RTF", "a.rtf", [b"{\\rtf1".as_slice(), &open("{", 1_000_000)].concat(), &["limit"][..]),
        bomb("deep JSON", "a.json", open("[", 1_000_000), &["ok"][..]),
        bomb("repeated cells", "a.ods", ods, &["ok"][..]),
        bomb("deep MIME", "a.eml", mail.into_bytes(), &["ok", "crashed", "limit"][..]),
    ]);
}

#[test]
fn pdfs_that_loop_inflate_or_lie() {
    let hello = "BT /F 12 Tf 72 700 Td (Hello) Tj ET";
    let page = |content: &str, extra: &str| pdf(&[(content, extra)], "", "");
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(page(hello, "")).unwrap();
        assert!(text.contains(from), "{from}");
        text.replace(from, to).into_bytes()
    };
    let pages = vec![("", ""); 5_001];
    // A form that draws itself: its resources name the stream it stands in.
    let form = "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>";
    let itself = replaced("<</Length 35>>", &format!("<</Length 35{form}>>"));
    let itself = String::from_utf8(itself).unwrap().replace(hello, "/X Do /X Do                        ");
    let itself = itself.replace("/Resources<</Font", "/Resources<</XObject<</X 5 0 R>>/Font").into_bytes();
    let numbers = format!("BT /F 12 Tf {} ET", "1 0 0 1 0 0 Tm (x) Tj ".repeat(30_000));
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("page tree that loops", "a.pdf", replaced("/Kids[4 0 R]", "/Kids[2 0 R]"), &["corrupted"][..]),
        bomb("more pages than allowed", "a.pdf", pdf(&pages, "", ""), &["limit"][..]),
        bomb(
            "a page named 100,000 times",
            "a.pdf",
            replaced("4 0 R]", &format!("{}]", "4 0 R ".repeat(100_000))),
            &["ok", "limit"][..],
        ),
        bomb("parent that loops", "a.pdf", replaced("/Parent 2 0 R", "/Parent 4 0 R"), &["ok", "crashed"][..]),
        bomb(
            "length that names itself",
            "a.pdf",
            replaced("/Length 35", "/Length 5 0 R"),
            &["ok", "no_text", "corrupted"][..],
        ),
        bomb("form that draws itself", "a.pdf", itself, &["ok", "no_text", "crashed", "timeout", "out_of_memory"][..]),
        bomb(
            "deep arrays",
            "a.pdf",
            replaced("/MediaBox[0 0 600 800]", &"[".repeat(200_000)),
            &["corrupted", "crashed", "ok"][..],
        ),
        bomb("a page full of characters", "a.pdf", page(&numbers, ""), &["ok"][..]),
        bomb(
            "size of the world",
            "a.pdf",
            page(hello, "/MediaBox[0 0 99999999999 99999999999]/Rotate 99999990"),
            &["ok", "no_text"][..],
        ),
        bomb("only a header", "a.pdf", b"%PDF-1.7\n%%EOF".to_vec(), &["corrupted"][..]),
    ]);
}

#[test]
fn time_and_memory_run_out_for_the_file_alone() {
    let heavy = format!("BT /F 12 Tf {} ET", "(x) Tj ".repeat(400_000));
    let bytes = pdf(&[(&heavy, "")], "", "");
    let slow = pool(WorkerLimits { wall_seconds: 0, ..WorkerLimits::default() });
    let error = slow.extract(&bytes, "a.pdf", &Cancel::default()).unwrap_err();
    assert_eq!(error.code(), "timeout");
    let small = pool(WorkerLimits { memory_bytes: 300 << 20, ..WorkerLimits::default() });
    let text = "wide ".repeat(16 << 20).into_bytes();
    let limit = small.extract(&text, "a.txt", &Cancel::default()).unwrap_err();
    assert_eq!(limit.code(), "out_of_memory", "{limit}");
    let next = small.extract(b"next", "a.txt", &Cancel::default()).unwrap();
    assert_eq!(next.document.text, "next\n");
}
