//! A Rust file as the rules see it: the text, and the same text with everything blanked that is not product code.
//! Blanking keeps every byte offset and every line, so that a finding can name its line.

/// One file of the tree.
pub struct Source {
    /// Path from the root of the tree, with `/`.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// Comments, strings and characters blanked.
    pub bare: String,
    /// `bare` with the `#[cfg(test)]` items blanked too.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let bare = blank_words(text);
        let code = cut_tests(&bare);
        Source { path: path.into(), text: text.into(), bare, code }
    }

    /// 1-based line of a byte offset.
    pub fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// `PATH:LINE: WHAT`.
    pub fn finding(&self, at: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{}: {what}", self.path, self.line(at))
    }

    /// The room under `src/`, or `applets`; `None` for the crate root and for tests.
    pub fn room(&self) -> Option<&str> {
        if self.path.starts_with("applets/") {
            return Some("applets");
        }
        let inside = self.path.strip_prefix("src/")?;
        inside
            .split_once('/')
            .map(|(room, _)| room)
            .or_else(|| inside.strip_suffix(".rs").filter(|it| *it != "lib"))
    }

    /// The module path of the file in its crate: `src/base/mod.rs` is `[base]`, `src/lib.rs` is `[]`.
    pub fn module(&self) -> Vec<&str> {
        let inside =
            self.path.strip_prefix("src/").or(self.path.strip_prefix("applets/")).unwrap_or(&self.path);
        let mut parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
            parts.pop();
        }
        parts
    }
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Blanks comments and what stands between quotes; newlines stay.
fn blank_words(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'"' => end_of_quoted(bytes, at, b'"'),
            b'r' if starts_raw(bytes, at) => end_of_raw(bytes, at),
            b'\'' if is_character(bytes, at) => end_of_quoted(bytes, at, b'\''),
            _ => {
                at += 1;
                continue;
            }
        };
        blank(&mut out, at, end);
        at = end;
    }
    String::from_utf8(out).expect("only whole characters are blanked")
}

fn blank(out: &mut [u8], from: usize, to: usize) {
    for byte in &mut out[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn end_of_comment(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn end_of_quoted(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn starts_raw(bytes: &[u8], at: usize) -> bool {
    let alone =
        at == 0 || !is_word(bytes[at - 1]) || (bytes[at - 1] == b'b' && (at == 1 || !is_word(bytes[at - 2])));
    let marks = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    alone && bytes.get(at + 1 + marks) == Some(&b'"')
}

fn end_of_raw(bytes: &[u8], at: usize) -> usize {
    let marks = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let close = [b"\"".as_slice(), &vec![b'#'; marks]].concat();
    find(bytes, at + 2 + marks, &close).map_or(bytes.len(), |end| end + close.len())
}

/// A quote opens a character when it is closed after one; else it is a lifetime.
fn is_character(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at + 1) {
        Some(b'\\') => true,
        Some(b'\'') | None => false,
        Some(first) => {
            let width = match first {
                0..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            bytes.get(at + 1 + width) == Some(&b'\'')
        }
    }
}

/// Blanks every item that stands under `#[cfg(test)]`, its attributes included.
fn cut_tests(bare: &str) -> String {
    let mut out = bare.as_bytes().to_vec();
    for (at, _) in bare.match_indices("#[cfg(test)]") {
        blank(&mut out, at, end_of_item(bare, at));
    }
    String::from_utf8(out).expect("only whole characters are blanked")
}

/// End of the item that begins at `at`: its closing brace, or its semicolon outside of all brackets.
pub fn end_of_item(bare: &str, at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in bare[at..].bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + offset + 1;
                }
            }
            b';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    bare.len()
}

/// Offsets of `what` in `code` between word boundaries.
pub fn words<'a>(code: &'a str, what: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(what).map(|(at, _)| at).filter(move |&at| {
        let opens = !is_word(what.as_bytes()[0]) || at == 0 || !is_word(bytes[at - 1]);
        let closes = what.bytes().last().is_none_or(|last| !is_word(last))
            || bytes.get(at + what.len()).is_none_or(|next| !is_word(*next));
        opens && closes
    })
}
