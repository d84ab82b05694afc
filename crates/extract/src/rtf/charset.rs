//! Code pages of fonts.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258,
};

/// The upper half of code page 850, which serves for 437 too where both have letters.
const DOS: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}";

/// How eight-bit text is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Charset {
    /// An encoding of the Encoding Standard.
    Known(&'static Encoding),
    /// Code pages 437 and 850.
    Dos,
    /// Pictures as letters; only bullets matter.
    Symbol,
}

impl Charset {
    /// The default of a file that states none.
    pub const LATIN: Self = Self::Known(WINDOWS_1252);

    /// The code page of that number.
    pub fn of_code_page(number: i32) -> Self {
        Self::Known(match number {
            437 | 850 => return Self::Dos,
            874 => WINDOWS_874,
            932 => SHIFT_JIS,
            936 => GBK,
            949 => EUC_KR,
            950 => BIG5,
            1250 => WINDOWS_1250,
            1251 => WINDOWS_1251,
            1253 => WINDOWS_1253,
            1254 => WINDOWS_1254,
            1255 => WINDOWS_1255,
            1256 => WINDOWS_1256,
            1257 => WINDOWS_1257,
            1258 => WINDOWS_1258,
            10000 => MACINTOSH,
            _ => WINDOWS_1252,
        })
    }

    /// The code page of a font's `\fcharset`; `None` for the file's own.
    pub fn of_font(number: i32) -> Option<Self> {
        let page = match number {
            2 => return Some(Self::Symbol),
            77 => 10000,
            128 => 932,
            129 => 949,
            134 => 936,
            136 => 950,
            161 => 1253,
            162 => 1254,
            163 => 1258,
            177 => 1255,
            178 => 1256,
            186 => 1257,
            204 => 1251,
            222 => 874,
            238 => 1250,
            255 => 850,
            _ => return None,
        };
        Some(Self::of_code_page(page))
    }

    /// Decodes a run of bytes.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Known(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Dos => bytes
                .iter()
                .filter_map(|byte| match byte.checked_sub(128) {
                    None => Some(char::from(*byte)),
                    Some(index) => DOS.chars().nth(usize::from(index)),
                })
                .collect(),
            Self::Symbol => bytes.iter().map(|byte| if *byte == 0xB7 { '•' } else { char::from(*byte) }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_text_is_decoded() {
        assert_eq!(DOS.chars().count(), 128);
        assert_eq!(Charset::of_code_page(850).decode(b"Gr\x81\xE1e"), "Grüße");
        assert_eq!(Charset::of_font(238), Some(Charset::Known(WINDOWS_1250)));
        assert_eq!(Charset::of_font(0), None);
    }
}
