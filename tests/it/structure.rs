//! Dependencies between the source files, and circles among them.

use super::source::{Source, words};
use std::collections::{BTreeMap, BTreeSet};

/// A path of names, such as `["model", "Forest"]` for `crate::model::Forest`.
type Names = Vec<String>;

/// The files of the source by their module's path, and the names that each module re-exports.
struct Modules<'a> {
    files: BTreeMap<Names, &'a str>,
    exports: BTreeMap<Names, BTreeMap<String, Names>>,
}

/// Returns each circle of files as a sentence that names them; a `mod.rs` may name the files of its own folder.
pub(crate) fn circles(sources: &[Source]) -> Vec<String> {
    let modules = Modules::of(sources);
    let arrow = |source: &Source| {
        let mut used = modules.files_used(source);
        if let Some(folder) = source.path.strip_suffix("mod.rs") {
            used.retain(|file| !file.starts_with(folder));
        }
        (source.path.clone(), used)
    };
    let arrows: BTreeMap<String, BTreeSet<String>> =
        sources.iter().filter(|source| source.module().is_some()).map(arrow).collect();
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        arrows.keys().map(|file| (file, reachable(file, &arrows))).collect();
    let circle = |file: &&String| -> Vec<&str> {
        let is_mutual = |other: &&&String| reached[*other].contains(*file);
        reached[*file].iter().filter(is_mutual).map(|other| other.as_str()).collect()
    };
    let all: BTreeSet<Vec<&str>> = arrows.keys().map(|file| circle(&file)).filter(|c| c.len() > 1).collect();
    all.into_iter().map(|files| format!("a circle of files: {}", files.join(", "))).collect()
}

/// All files reachable from a file along arrows.
fn reachable<'a>(from: &str, arrows: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = arrows[from].iter().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(arrows.get(file).into_iter().flatten());
        }
    }
    reached
}

impl<'a> Modules<'a> {
    fn of(sources: &'a [Source]) -> Modules<'a> {
        let in_src = || sources.iter().filter(|source| source.module().is_some());
        let files = in_src().map(|source| (module_path(&source.path), source.path.as_str())).collect();
        let exports = in_src().map(|source| (module_path(&source.path), exports(&source.shipped))).collect();
        Modules { files, exports }
    }

    /// The other files whose items the shipped code of a file names.
    fn files_used(&self, source: &Source) -> BTreeSet<String> {
        let here = module_path(&source.path);
        let (code, uses) = without_uses(&source.shipped);
        let imported: BTreeMap<&String, &Names> =
            uses.iter().filter_map(|import| Some((import.names.last()?, &import.names))).collect();
        let mut paths: Vec<Names> = uses.iter().map(|import| import.names.clone()).collect();
        for path in paths_in(&code) {
            match imported.get(&path[0]) {
                Some(import) => paths.push([&import[..], &path[1..]].concat()),
                None => paths.push(path),
            }
        }
        let files = paths.iter().filter_map(|path| self.file_of(path, &here, 0));
        files.filter(|file| *file != source.path).map(String::from).collect()
    }

    /// The file that defines the item of a path; follows re-exports.
    fn file_of(&self, path: &[String], here: &[String], depth: usize) -> Option<&'a str> {
        let full = self.absolute(path, here)?;
        let len = (0..=full.len()).rev().find(|len| self.files.contains_key(&full[..*len]))?;
        let (module, rest) = full.split_at(len);
        let export = rest.first().and_then(|name| self.exports.get(module)?.get(name));
        if let Some(export) = export.filter(|_| depth < 8) {
            let path = [&export[..], &rest[1..]].concat();
            if let Some(file) = self.file_of(&path, module, depth + 1) {
                return Some(file);
            }
        }
        // The crate's root does not count as a file.
        self.files.get(module).copied().filter(|_| !module.is_empty())
    }

    /// A path from the crate's root, if it leads into the crate.
    fn absolute(&self, path: &[String], here: &[String]) -> Option<Names> {
        let first = path.first()?.as_str();
        if ["crate", "mappa"].contains(&first) {
            return Some(path[1..].to_vec());
        }
        let n_up = path.iter().take_while(|name| *name == "super").count();
        let n_self = usize::from(first == "self");
        let base = here.len().checked_sub(n_up)?;
        let full = [&here[..base], &path[n_up + n_self..]].concat();
        let is_relative =
            n_up + n_self > 0 || self.files.contains_key(&full[..(here.len() + 1).min(full.len())]);
        is_relative.then_some(full)
    }
}

/// The path of a file's module; `cli` for the binary's root, empty for the library's.
fn module_path(file: &str) -> Names {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" => Vec::new(),
        "main" => vec!["cli".into()],
        other => other.split('/').map(String::from).collect(),
    }
}

/// A name imported by a `use`.
struct Import {
    names: Names,
    /// The local name, after `as`.
    alias: String,
    is_public: bool,
}

/// The names that a module re-exports.
fn exports(code: &str) -> BTreeMap<String, Names> {
    let (_, uses) = without_uses(code);
    uses.into_iter().filter(|import| import.is_public).map(|import| (import.alias, import.names)).collect()
}

/// The code with its `use` declarations blanked, and the imports of these declarations.
fn without_uses(code: &str) -> (String, Vec<Import>) {
    let (mut rest, mut imports) = (code.to_string(), Vec::new());
    for at in words(code, "use ") {
        let line = code[..at].rfind('\n').map_or(0, |line| line + 1);
        let before = code[line..at].trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        let end = code[at..].find(';').map_or(code.len(), |end| at + end);
        flatten(&code[at + 4..end], &[], before.starts_with("pub"), &mut imports);
        rest.replace_range(at..end, &" ".repeat(end - at));
    }
    (rest, imports)
}

/// Adds the imports of a use tree, such as `a::{b, c::d as e}`.
fn flatten(tree: &str, prefix: &[String], is_public: bool, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let prefix: Names = [prefix, &segments(&tree[..open])].concat();
        let (mut depth, mut from) = (0, open + 1);
        for (at, c) in tree.char_indices().skip(open + 1) {
            match c {
                '{' => depth += 1,
                ',' if depth == 0 => {
                    flatten(&tree[from..at], &prefix, is_public, imports);
                    from = at + 1;
                }
                '}' if depth == 0 => return flatten(&tree[from..at], &prefix, is_public, imports),
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let mut names: Names = [prefix, &segments(path)].concat();
    if names.last().is_some_and(|name| name == "self") {
        names.pop();
    }
    let Some(last) = names.last().cloned().filter(|_| !path.trim().is_empty()) else { return };
    let alias = if alias.is_empty() { last } else { alias.trim().into() };
    imports.push(Import { names, alias, is_public });
}

fn segments(path: &str) -> Names {
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect()
}

/// All paths of at least two names in the code.
fn paths_in(code: &str) -> Vec<Names> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let candidates = code.split(|c: char| !is_path(c)).filter(|path| path.contains("::"));
    let names = candidates.filter(|path| path.starts_with(|c: char| c.is_alphabetic())).map(segments);
    names.filter(|names| names.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        circles(&files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>())
    }

    #[test]
    fn a_circle_is_found_in_every_notation() {
        let b = ("src/a/b.rs", "use super::c::C;\npub struct B;\n");
        for text in [
            "use super::b::B;\npub struct C;",
            "use crate::a::b::B as Other;\npub struct C;",
            "use crate::a::{b, d};\npub struct C(b::B);",
            "pub struct C(super::b::B);",
            "pub struct C(crate::a::B);",
            "use super::d;\npub struct C;",
        ] {
            let map = ("src/a/mod.rs", "mod b;\nmod c;\nmod d;\npub use b::B;\n");
            let d = ("src/a/d.rs", "use super::b::B;\npub struct D;");
            let found = found(&[map, b, ("src/a/c.rs", text), d]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains("src/a/b.rs, src/a/c.rs"), "{text}: {found:?}");
        }
    }

    #[test]
    fn registries_tests_and_comments_do_not_count_as_circles() {
        let map = ("src/a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub const ALL: [&str; 1] = [b::NAME];");
        let b = ("src/a/b.rs", "use super::ALL;\nuse super::c::C;\npub struct B;");
        let c = (
            "src/a/c.rs",
            "// see super::b::B\npub struct C;\n#[cfg(test)]\nmod tests { use super::super::b::B; }",
        );
        assert_eq!(found(&[map, b, c]), Vec::<String>::new());
    }
}
