//! More hostile files through a real pool (see [`super::bombs`]): pictures, lying tables and lengths, loops of
//! references, giants of every format. With those next door they are more than sixty.

use super::bombs::{Bomb, defuse, docx, gzip};
use crate::{Picture, package::zipped, pdf::tests::pdf};

const HELLO: &str = "BT /F 12 Tf 72 700 Td (Hello) Tj ET";

/// What a harmless end is, for files that some readers can make sense of.
const ANY: &[&str] =
    &["ok", "no_text", "empty", "corrupted", "unsupported", "limit", "unsafe", "crashed", "out_of_memory"];

fn page(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(pdf(&[(HELLO, "")], "", "")).unwrap();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

/// A PDF whose page draws a picture with these entries and data.
fn pictured(entries: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
        2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]/MediaBox[0 0 600 800]>>endobj\n\
        3 0 obj<</Type/Page/Parent 2 0 R/Resources<</XObject<</X 5 0 R>>>>/Contents 4 0 R>>endobj\n\
        4 0 obj<</Length 29>>stream\nq 600 0 0 800 0 0 cm /X Do Q \nendstream endobj\n"
        .to_vec();
    let length = data.len();
    out.extend(format!("5 0 obj<</Type/XObject/Subtype/Image{entries}/Length {length}>>stream\n").bytes());
    out.extend(data);
    out.extend(b"\nendstream endobj\ntrailer<</Root 1 0 R/Size 6>>\n%%EOF");
    out
}

fn deflated(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn pdf_structures_that_loop_lie_or_swell() {
    let zeros = vec![b' '; 64 << 20];
    let flate = |data: &[u8]| {
        let mut out = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
            2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n\
            3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n\
            4 0 obj<</Filter[/FlateDecode/FlateDecode]/Length "
            .to_vec();
        let data = deflated(&deflated(data));
        out.extend(format!("{}>>stream\n", data.len()).bytes());
        out.extend(data);
        out.extend(b"\nendstream endobj\ntrailer<</Root 1 0 R>>");
        out
    };
    let bomb = |what, bytes, expected| Bomb { what, name: "a.pdf", bytes, expected };
    defuse(&[
        bomb("content that inflates twice", flate(&zeros), ANY),
        bomb("a length of four gigabytes", page("/Length 35", "/Length 4294967295"), ANY),
        bomb("a negative length", page("/Length 35", "/Length -5"), ANY),
        bomb("pages counted as a hundred thousand", page("/Count 1", "/Count 100000"), &["ok"][..]),
        bomb("pages counted as fewer than none", page("/Count 1", "/Count -9"), &["ok"][..]),
        bomb("table of objects that points nowhere", page("0000000009", "9999999999"), ANY),
        bomb("table that is its own predecessor", page("trailer<<", "trailer<</Prev 9 /XRefStm 9 "), ANY),
    ]);
}

#[test]
fn pdf_pages_that_refer_to_themselves() {
    let deep = format!("{}{}", "<</A".repeat(100_000), ">>".repeat(100_000));
    let many_objects: Vec<u8> =
        (1..200_000).flat_map(|number| format!("{number} 0 obj null endobj\n").into_bytes()).collect();
    let saves = format!("{}{HELLO}", "q ".repeat(200_000));
    let bomb = |what, bytes, expected| Bomb { what, name: "a.pdf", bytes, expected };
    defuse(&[
        bomb(
            "font that is its own descendant",
            page("/Type/Font/Subtype/Type1", "/Type/Font/Subtype/Type0/DescendantFonts[3 0 R]"),
            ANY,
        ),
        bomb("encoding that names its font", page("/Encoding/WinAnsiEncoding", "/Encoding 3 0 R/ToUnicode 3 0 R"), ANY),
        bomb("content that is its own page", page("/Contents 5 0 R", "/Contents 4 0 R"), ANY),
        bomb(
            "content named ten thousand times",
            page("/Contents 5 0 R", &format!("/Contents[{}]", "5 0 R ".repeat(10_000))),
            ANY,
        ),
        bomb(
            "dictionaries a hundred thousand deep",
            page("/MediaBox[0 0 600 800]", &format!("/Z {deep}/MediaBox[0 0 600 800]")),
            ANY,
        ),
        bomb("two hundred thousand saved states", pdf(&[(&saves, "")], "", ""), ANY),
        bomb(
            "two hundred thousand empty objects",
            [b"%PDF-1.4\n".as_slice(), &many_objects, b"trailer<</Root 1 0 R>>"].concat(),
            ANY,
        ),
        bomb("a page without width", page("[0 0 600 800]", "[0 0 0 0]"), ANY),
        bomb("a page of numbers that are none", page("[0 0 600 800]", "[nan inf 1e400 -1e400]"), ANY),
        bomb(
            "annotations that are their own parents",
            page("/Contents", "/Annots[4 0 R 4 0 R]/Subtype/Widget/Contents"),
            ANY,
        ),
        bomb(
            "attachments in a tree that loops",
            pdf(&[(HELLO, "")], "/Names<</EmbeddedFiles 1 0 R>>/Kids[1 0 R 1 0 R]", ""),
            ANY,
        ),
        bomb(
            "encryption without anything",
            pdf(&[(HELLO, "")], "", "/Encrypt<</Filter/Standard>>"),
            &["encrypted", "corrupted", "ok"][..],
        ),
    ]);
}

#[test]
fn pictures_that_lie_about_their_size() {
    let small = Picture { number: 1, width: 8, height: 8, dpi: 72.0, rgb: vec![255; 192] }.png().unwrap();
    let sized = |width: u32, height: u32| {
        let mut file = small.clone();
        file[16..20].copy_from_slice(&width.to_be_bytes());
        file[20..24].copy_from_slice(&height.to_be_bytes());
        file
    };
    let mut ladder = b"II*\0\x08\0\0\0".to_vec();
    // One directory with no entries whose successor is itself.
    ladder.extend([0, 0, 8, 0, 0, 0]);
    let jpeg = [b"\xFF\xD8\xFF\xC0\0\x11\x08\xFF\xFF\xFF\xFF\x03".as_slice(), &[1; 64]].concat();
    let image = "/Width 30000/Height 30000/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode";
    let fax = "/Width 2480/Height 100000000/ColorSpace/DeviceGray/BitsPerComponent 1/Filter/CCITTFaxDecode";
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("a picture of the world", "a.png", sized(0x7FFF_FFFF, 0x7FFF_FFFF), &["limit", "corrupted"][..]),
        bomb("a picture one pixel high", "a.png", sized(0x00FF_FFFF, 1), ANY),
        bomb("a picture one pixel wide", "a.png", sized(1, 0x00FF_FFFF), ANY),
        bomb("a picture without pixels", "a.png", sized(0, 0), ANY),
        bomb("a picture cut short", "a.png", small[..40].to_vec(), ANY),
        bomb("a TIFF that is its own next page", "a.tif", ladder, &["corrupted", "limit"][..]),
        bomb("a TIFF of a header", "a.tif", b"MM\0*\0\0\0\x08".to_vec(), &["corrupted"][..]),
        bomb("a JPEG of a header", "a.jpg", jpeg, ANY),
        bomb("a scan of three gigabytes in a PDF", "a.pdf", pictured(image, &deflated(&[0; 1 << 20])), ANY),
        bomb("a fax of a hundred million lines", "a.pdf", pictured(fax, &[0x55; 4096]), ANY),
        bomb("a JBIG2 of noise", "a.pdf", pictured("/Width 99/Height 99/Filter/JBIG2Decode", &[0xAA; 4096]), ANY),
        bomb("a JPEG 2000 of noise", "a.pdf", pictured("/Width 99/Height 99/Filter/JPXDecode", &[0xAA; 4096]), ANY),
    ]);
}

#[test]
fn office_files_that_lie_or_swell() {
    let content_types: (&str, &[u8]) = ("[Content_Types].xml", b"<Types/>");
    let workbook: (&str, &[u8]) = (
        "xl/workbook.xml",
        br#"<workbook xmlns:r="r"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>"#,
    );
    let relations: (&str, &[u8]) = (
        "xl/_rels/workbook.xml.rels",
        br#"<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
    );
    let sheet = |data: &str| {
        let xml = format!("<worksheet><sheetData>{data}</sheetData></worksheet>");
        zipped(&[content_types, workbook, relations, ("xl/worksheets/sheet1.xml", xml.as_bytes())])
    };
    let rows: String = (1..=200_000).map(|row| format!("<row r=\"{row}\"/>")).collect();
    let far = r#"<row r="1048576"><c r="XFD1048576"><v>1</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>"#;
    let tables = format!("<w:document><w:body>{}</w:body></w:document>", "<w:tbl><w:tr><w:tc>".repeat(100));
    let ole = [b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".as_slice(), &[0xFE; 2048]].concat();
    let wide = "WordDocument".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("a sheet of two hundred thousand empty rows", "a.xlsx", sheet(&rows), ANY),
        bomb("a sheet with one cell at each end", "a.xlsx", sheet(far), ANY),
        bomb("a sheet that is no sheet", "a.xlsx", sheet("<row><c><row><c>"), ANY),
        bomb("a hundred tables in tables", "a.docx", docx(tables.as_bytes()), ANY),
        bomb("a document without a document", "a.docx", zipped(&[content_types, ("word/x.xml", b"<a/>")]), ANY),
        bomb("an OLE file of one sector again and again", "a.doc", [ole.clone(), wide].concat(), ANY),
        bomb("an OLE file of nothing", "a.xls", ole, ANY),
        bomb("RTF whose data never comes", "a.rtf", b"{\\rtf1 \\bin2147483647 x}".to_vec(), ANY),
        bomb("RTF of ten million blanks", "a.rtf", [b"{\\rtf1 ".as_slice(), &vec![b' '; 10 << 20], b"}"].concat(), ANY),
        bomb("RTF that repeats a unicode skip", "a.rtf", b"{\\rtf1 \\uc2147483647 \\u65535? x}".to_vec(), ANY),
        bomb(
            "an EPUB whose spine is itself",
            "a.epub",
            zipped(&[
                ("mimetype", b"application/epub+zip"),
                (
                    "META-INF/container.xml",
                    br#"<container><rootfiles><rootfile full-path="META-INF/container.xml"/></rootfiles></container>"#,
                ),
            ]),
            ANY,
        ),
    ]);
}

#[test]
fn mails_texts_and_archives_that_go_on_for_ever() {
    let mut mail = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\n\r\nhello".to_vec();
    for _ in 0..30 {
        let head = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n";
        mail = [head.as_slice(), &mail].concat();
    }
    let headers = format!("From: a@b\r\nTo: c@d\r\n{}\r\nx", "Subject: x\r\n".repeat(200_000));
    let mbox = "From a@b Mon Jan 1 00:00:00 2024\nFrom: a@b\nSubject: x\n\nhello\n\n".repeat(12_000);
    let columns = "a;".repeat(1_000_000);
    let links: Vec<u8> = {
        let mut header = [0_u8; 1024];
        header[..4].copy_from_slice(b"self");
        header[157..161].copy_from_slice(b"self");
        header[156] = b'2';
        header[257..262].copy_from_slice(b"ustar");
        let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header.to_vec()
    };
    let gzips = (0..12).fold(b"core".to_vec(), |inner, _| gzip(&inner));
    let climbing = zipped(&[("../../../../etc/passwd", b"x"), ("C:\\windows\\x.txt", b"y"), ("/abs.txt", b"z")]);
    let bomb = |what, name, bytes, expected| Bomb { what, name, bytes, expected };
    defuse(&[
        bomb("a mail in a mail, thirty deep", "a.eml", mail, &["ok", "limit"][..]),
        bomb("two hundred thousand headers", "a.eml", headers.into_bytes(), ANY),
        bomb("twelve thousand mails in a box", "a.mbox", mbox.into_bytes(), &["ok", "limit"][..]),
        bomb("a million columns", "a.csv", columns.into_bytes(), ANY),
        bomb("a million quotes", "a.csv", vec![b'"'; 1_000_000], ANY),
        bomb("one line of forty megabytes", "a.txt", vec![b'x'; 40 << 20], &["ok"][..]),
        bomb("forty million line ends", "a.txt", vec![b'\n'; 40 << 20], ANY),
        bomb("a hundred thousand tables", "a.html", "<table><tr><td>x".repeat(100).into_bytes(), ANY),
        bomb(
            "a million attributes",
            "a.xml",
            format!("<?xml version='1.0'?><a {}/>", (0..300_000).map(|n| format!("a{n}='' ")).collect::<String>())
                .into_bytes(),
            ANY,
        ),
        bomb(
            "a message of one endless segment",
            "a.hl7",
            [b"MSH|^~\\&|".as_slice(), &vec![b'|'; 5 << 20]].concat(),
            ANY,
        ),
        bomb("quotes a million deep", "a.md", vec![b'>'; 1_000_000], ANY),
        bomb("brackets a hundred thousand deep", "a.md", vec![b'['; 100_000], ANY),
        bomb("an archive of a link to itself", "a.tar", links, ANY),
        bomb("gzip in gzip, twelve deep", "a.gz", gzips, &["limit", "ok", "unsupported"][..]),
        bomb("paths that climb out", "a.zip", climbing, &["ok"][..]),
    ]);
}
