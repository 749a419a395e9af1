//! Python's operator `%`, which computes remainders of numbers and formats texts. minijinja has it for numbers only,
//! so every use is rewritten as a call.

use super::token::Token;

/// The function that replaces the operator.
pub(super) const FUNCTION: &str = "remainder_or_format";

/// Keywords, which are not operands.
const BETWEEN: [&str; 14] =
    ["and", "or", "not", "in", "is", "if", "else", "elif", "for", "set", "do", "recursive", "with", "import"];

/// The inside of a tag with a call in place of each `%`; none if there is no `%`.
pub(super) fn rewritten(tokens: &[Token]) -> Option<String> {
    tokens.iter().any(|token| token.text == "%").then(|| Rewriter { tokens, at: 0 }.all())
}

/// Rewrites the tokens of a tag, or those between two brackets.
struct Rewriter<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
}

impl<'a> Rewriter<'a> {
    fn all(mut self) -> String {
        let (mut out, mut follows_operand) = (String::new(), false);
        while self.at < self.tokens.len() {
            let sign = !follows_operand && matches!(self.peek(), "-" | "+");
            follows_operand = sign || self.is_operand();
            if follows_operand {
                out += &self.products();
            } else {
                self.take(&mut out);
            }
        }
        out
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn take(&mut self, out: &mut String) {
        if let Some(token) = self.tokens.get(self.at) {
            out.push_str(token.gap);
            out.push_str(token.text);
            self.at += 1;
        }
    }

    fn is_operand(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| {
            let is_name = token.is_word() && !BETWEEN.contains(&token.text);
            is_name || token.is_text() || token.is_number() || matches!(token.text, "(" | "[" | "{")
        })
    }

    /// Operands joined by `*`, `/`, `//` and `%`, from the left.
    fn products(&mut self) -> String {
        let mut out = self.power();
        loop {
            match self.peek() {
                "%" => {
                    let mut sign = String::new();
                    self.take(&mut sign);
                    let lines = "\n".repeat(sign.matches('\n').count());
                    // The white space before the first operand stays before the call.
                    let start = out.len() - out.trim_start().len();
                    let right = self.power();
                    out = format!("{}{FUNCTION}({}{lines},{right})", &out[..start], &out[start..]);
                }
                "*" | "/" | "//" => {
                    self.take(&mut out);
                    out += &self.power();
                }
                _ => return out,
            }
        }
    }

    fn power(&mut self) -> String {
        let mut out = self.operand();
        while self.peek() == "**" {
            self.take(&mut out);
            out += &self.operand();
        }
        out
    }

    /// One operand with its signs, attributes, items, calls, filters and tests.
    fn operand(&mut self) -> String {
        let mut out = String::new();
        while matches!(self.peek(), "-" | "+") {
            self.take(&mut out);
        }
        self.group_or_token(&mut out);
        loop {
            match self.peek() {
                "." => {
                    self.take(&mut out);
                    self.take(&mut out);
                }
                "(" | "[" => self.group_or_token(&mut out),
                "|" => {
                    self.take(&mut out);
                    self.take(&mut out);
                }
                "is" => {
                    self.take(&mut out);
                    if self.peek() == "not" {
                        self.take(&mut out);
                    }
                    self.take(&mut out);
                    // A test with one argument needs no brackets around it.
                    if self.is_operand() && !matches!(self.peek(), "(" | "[" | "{") {
                        self.take(&mut out);
                    }
                }
                _ => return out,
            }
        }
    }

    /// Takes a token; for a bracket, everything up to its closing one.
    fn group_or_token(&mut self, out: &mut String) {
        if !matches!(self.peek(), "(" | "[" | "{") {
            return self.take(out);
        }
        self.take(out);
        let (start, mut depth) = (self.at, 1_usize);
        while self.at < self.tokens.len() {
            match self.peek() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            self.at += 1;
        }
        *out += &Rewriter { tokens: &self.tokens[start..self.at], at: 0 }.all();
        self.take(out);
    }
}
