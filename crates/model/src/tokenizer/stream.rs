//! Text from tokens as they come.

/// Puts together the bytes of tokens and gives out whole characters only.
///
/// Bytes that can never become a character (a broken sequence) come out as U+FFFD, as in
/// [`String::from_utf8_lossy`]; bytes that may still become one wait for the next token.
#[derive(Clone, Debug, Default)]
pub struct Detokenizer {
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Adds a token's bytes and appends what is complete to `text`.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.pending.extend_from_slice(bytes);
        let mut done = 0;
        loop {
            match std::str::from_utf8(&self.pending[done..]) {
                Ok(rest) => {
                    text.push_str(rest);
                    done = self.pending.len();
                    break;
                }
                Err(error) => {
                    let valid = done + error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[done..valid]));
                    done = valid;
                    let Some(broken) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    done += broken;
                }
            }
        }
        self.pending.drain(..done);
    }

    /// Says whether an unfinished character waits.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}
